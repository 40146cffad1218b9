"""A spoke that waits for its directory publishes within seconds."""

import time

import pytest


@pytest.mark.parametrize('kind', ['openldap', 'active directory'])
def test_changes_are_followed_at_once(star, clean, openldap, kind):
    openldap.populate(5)
    clean['north'].populate(5)
    follow = 'every = "1h"; settle = "1s";'
    east = star.join('east', openldap, domains=['west.example'],
                     export_extra=follow, import_extra='every = "1h";')
    north = star.join('north', clean['north'], export_extra=follow,
                      import_extra='every = "1h";')
    for spoke in (east, north):
        spoke.serve()
    star.eventually(star.expect_everyone)
    time.sleep(2)
    source = east if kind == 'openldap' else north
    for number in (70, 71):
        began = time.monotonic()
        source.ldap.add_person(number)
        star.eventually(star.expect_everyone)
        assert time.monotonic() - began < 30
    for spoke in (east, north):
        assert spoke.stop() == 0, spoke.log_text()[-2000:]
