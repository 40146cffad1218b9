"""Fixtures shared by the forest and end-to-end tests."""

import contextlib
import os
import shutil
import sys
import tempfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'deploy'))

from testbed import net, samba_family, samba_forest, slapd, tls  # noqa: E402


@pytest.fixture(scope='session')
def scratch():
    directory = tempfile.mkdtemp(prefix='galrelay-test-')
    yield directory
    if not os.environ.get('KEEP'):
        shutil.rmtree(directory)


@pytest.fixture(scope='session')
def block():
    taken = net.Block()
    yield taken
    taken.release()


@pytest.fixture(scope='session')
def authority(scratch):
    return tls.Authority(os.path.join(scratch, 'tls'))


@pytest.fixture(scope='session')
def forests(scratch, block, authority):
    """Three running, empty Active Directory forests by name."""
    names = ('north', 'south', 'west')
    made = {name: samba_forest.Samba(name, block.address(11 + i), authority,
                                     scratch)
            for i, name in enumerate(names)}
    try:
        samba_forest.start_all(made.values())
        yield made
    finally:
        for forest in made.values():
            forest.stop()


@pytest.fixture
def clean(forests):
    """The three forests, without people and contacts."""
    for forest in forests.values():
        forest.reset()
    return forests


@contextlib.contextmanager
def running(server):
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope='session')
def east_server(scratch, block, authority):
    with running(slapd.Slapd('east', block.address(14), authority,
                             scratch)) as server:
        yield server


@pytest.fixture
def openldap(east_server):
    """A running slapd for the domain east.example, without people."""
    east_server.reset()
    return east_server


@pytest.fixture(scope='session')
def uplands(scratch, block, authority):
    """A second slapd, with the naming context dc=uplands,dc=example."""
    with running(slapd.Slapd('uplands', block.address(17), authority,
                             scratch)) as server:
        yield server


@pytest.fixture(scope='session')
def family(scratch, block, authority):
    """A forest of two domains, trunk.example and child.trunk.example."""
    with running(samba_family.Family('trunk', [
            block.address(host) for host in (21, 22, 23)], authority,
            scratch)) as made:
        yield made
