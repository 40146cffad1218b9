"""Disk full, database locked, a clock that is wrong."""

import os
import resource
import signal
import sqlite3
import subprocess

import pytest

from testbed import people
from testbed.star import changed

FAKE = {'ASAN_OPTIONS': 'verify_asan_link_order=0'}


@pytest.fixture
def small_disk(star):
    """The hub's state on a file system of 12 MiB. Yields a function that
    fills it and one that frees it again."""
    star.hub.stop()
    moved = star.hub.state + '.moved'
    os.rename(star.hub.state, moved)
    os.mkdir(star.hub.state, 0o700)
    mounted = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=12m,mode=700', 'none',
         star.hub.state], capture_output=True)
    if mounted.returncode:
        pytest.skip('mounting needs root: ' + mounted.stderr.decode())
    try:
        subprocess.run(['cp', '-a', moved + '/.', star.hub.state], check=True)
        star.hub.serve()
        star.hub.wait()
        ballast = os.path.join(star.hub.state, 'ballast')

        def fill():
            with open(ballast, 'wb', 0) as out:
                try:
                    while out.write(bytes(1 << 12)):
                        pass
                except OSError:
                    pass

        yield fill, lambda: os.unlink(ballast)
    finally:
        star.hub.stop()
        subprocess.run(['umount', star.hub.state], check=True)


def test_a_full_hub_loses_nothing(star, pair, small_disk):
    north, south = pair
    fill, free = small_disk
    before = sorted(south.contacts())
    fill()
    for number in range(300, 330):
        north.ldap.add_person(number)
    result = north.call('run', 'staff')
    assert result.status == 1, result
    south.call('run', 'partners')
    assert sorted(south.contacts()) == before
    free()
    star.eventually(lambda: (star.sync(), star.expect_everyone()))


MANY = 40000    # ids do not fit into memory and the cache of a set
EVERYBODY = '''export: ( {{ name = "staff"; tag = "{name}/staff";
    from = ( {{ search = "*"; }}, {{ ou = "{staff}"; }} ); }} );'''


@pytest.fixture
def crowd(slapd_factory):
    """A directory with many people."""
    server = slapd_factory('crowd')
    server.stop()
    os.unlink(os.path.join(server.home, 'data', 'data.mdb'))
    server.slapadd((server.person_dn(entry['cn']), people.inet_person(entry))
                   for entry in people.people('west', MANY))
    return server.start()


def test_a_run_that_finds_no_room_for_its_ids_publishes_nothing(star, crowd):
    spoke = star.join('crowd', crowd, domains=['west.example'],
                      policies=EVERYBODY)
    first = spoke.json('run', 'staff', '--no-wait')
    assert first['objects'] == first['added'] == MANY, first

    def small_files():
        """What else a run has to write is far less than the set of ids."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 10, 200 << 10))

    replica = os.path.join(spoke.state, 'streams')
    kept = {name: os.stat(os.path.join(replica, name)).st_size
            for name in os.listdir(replica)}
    result = spoke.call('run', 'staff', '--full', '--no-wait', before=small_files)
    assert result.status == 1, result
    assert 'disk full: temporary database in directory %s' % spoke.state \
        in result.text, result
    assert kept == {name: os.stat(os.path.join(replica, name)).st_size
                    for name in os.listdir(replica)}
    result = spoke.call('count', 'staff', before=small_files)
    assert result.status == 1 and 'temporary database' in result.text, result
    again = spoke.json('run', 'staff', '--full', '--no-wait')
    assert again['objects'] == MANY, again
    assert not (again['added'] + again['modified'] + again['deleted']), again


def test_a_locked_hub_database_is_waited_for(star, pair):
    north, south = pair
    north.ldap.add_person(310)
    lock = sqlite3.connect(os.path.join(star.hub.state, 'hub.db'))
    lock.execute('BEGIN EXCLUSIVE')
    try:
        result = north.call('run', 'staff')
        assert result.status == 1, result
    finally:
        lock.rollback()
        lock.close()
    star.eventually(lambda: (star.sync(), star.expect_everyone()))


def test_a_locked_spoke_database_is_a_clear_error(star, pair):
    north, south = pair
    north.ldap.add_person(311)
    lock = sqlite3.connect(os.path.join(north.state, 'spoke.db'))
    lock.execute('BEGIN EXCLUSIVE')
    try:
        result = north.call('run', 'staff')
        assert result.status == 1, result
        assert 'spoke.db' in result.text or 'locked' in result.text
    finally:
        lock.rollback()
        lock.close()
    star.sync()
    star.expect_everyone()


def test_two_runs_at_once_do_not_disturb_each_other(star, pair):
    north, south = pair
    for number in range(320, 330):
        north.ldap.add_person(number)
    north.export()
    runs = [subprocess.Popen(south.prefix() + ['run', 'partners'],
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL) for _ in range(3)]
    for child in runs:
        assert child.wait(120) in (0, 1)
    star.sync()
    star.expect_everyone()


def test_a_spoke_an_hour_ahead_is_told_so(star, pair):
    north, south = pair
    before = sorted(south.contacts())
    north.ldap.add_person(330)
    result = north.call('run', 'staff', wrap=('faketime', '-f', '+1h'),
                        environment=FAKE)
    assert result.status == 1, result
    assert 'clock' in result.text
    south.fetch()
    assert sorted(south.contacts()) == before
    star.eventually(lambda: (star.sync(), star.expect_everyone()))


def test_a_spoke_an_hour_behind_refuses_bundles_from_the_future(star, pair):
    north, south = pair
    before = sorted(south.contacts())
    north.ldap.add_person(331)
    north.export()
    result = south.call('run', 'partners', wrap=('faketime', '-f', '-1h'),
                        environment=FAKE)
    assert result.status == 1, result
    assert 'clock' in result.text
    assert sorted(south.contacts()) == before
    star.eventually(lambda: (star.sync(), star.expect_everyone()))


def test_a_secret_that_others_can_read_is_refused(star, pair):
    north, south = pair
    os.chmod(north.ldap.password_file, 0o644)
    try:
        result = north.call('check')
        assert result.status == 1
        assert north.ldap.password_file in result.text
        assert 'chmod' in result.text
        assert north.call('run', 'staff').status == 1
    finally:
        os.chmod(north.ldap.password_file, 0o600)


def test_an_idle_cycle_is_quick(star, pair):
    """Nobody waits for the hub, which has nothing to say."""
    north, south = pair
    north.export()
    south.fetch()
    with changed(north.conf, 'wait = "10s";', 'wait = "10m";'), \
            changed(south.conf, 'wait = "10s";', 'wait = "10m";'):
        north.export()      # which may take two minutes
        south.fetch()
