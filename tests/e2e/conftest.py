"""A fresh star for each test: `star()` starts a hub, `star.join()` spokes."""

import os
import re
import shutil

import pytest

from testbed import slapd
from testbed.star import Star, program

HUB = 'resend = "1s";\nevery = "1s";'
SPOKE = 'wait = "10s";'


@pytest.fixture
def star(scratch, block, request):
    """A running hub. Anything that fails prints the logs."""
    if not os.path.exists(program('galhub')):
        pytest.fail('no galhub in ' + os.path.dirname(program('galhub')))
    name = re.sub(r'\W+', '-', request.node.name)
    made = Star(os.path.join(scratch, name), block, hub_extra=HUB)
    made.default_extra = SPOKE
    try:
        yield made.start()
    finally:
        made.stop()
        for part in [made.hub] + made.spokes:
            text = part.log_text()
            if text:
                print('--- %s\n%s' % (part.log, text[-4000:]))
        if not os.environ.get('KEEP'):
            shutil.rmtree(made.scratch, ignore_errors=True)


@pytest.fixture
def pair(star, clean):
    """north (20 people) and south (empty), joined and in step."""
    north, south = clean['north'], clean['south']
    north.populate(20)
    spokes = star.join('north', north), star.join('south', south)
    star.sync()
    star.sync()
    star.expect_everyone()
    return spokes


@pytest.fixture
def three(star, clean):
    """Three forests with people, joined and in step."""
    for name, count in (('north', 20), ('south', 15), ('west', 10)):
        clean[name].populate(count)
    spokes = [star.join(name, clean[name]) for name in clean]
    star.sync()
    star.sync()
    star.expect_everyone()
    return spokes


@pytest.fixture
def slapd_factory(scratch, block, authority):
    """slapd_factory(name, **settings): another running slapd."""
    made = []

    def build(name, host=15, **settings):
        server = slapd.Slapd(name, block.address(host), authority, scratch,
                             **settings)
        made.append(server)
        return server.start()

    yield build
    for server in made:
        server.stop()
        shutil.rmtree(server.home)
