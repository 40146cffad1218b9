"""A spoke that waits for its directory publishes within seconds."""

import os
import select
import signal
import socket
import threading
import time

import pytest

from testbed import process
from testbed.reader import domain

FOLLOW = 'every = "1h"; settle = "%s";'


@pytest.mark.parametrize('kind', ['openldap', 'active directory'])
def test_changes_are_followed_at_once(star, clean, openldap, kind):
    openldap.populate(5)
    clean['north'].populate(5)
    east = star.join('east', openldap, domains=['west.example'],
                     export_extra=FOLLOW % '1s', import_extra='every = "1h";')
    north = star.join('north', clean['north'], export_extra=FOLLOW % '1s',
                      import_extra='every = "1h";')
    for spoke in (east, north):
        spoke.serve()
    star.eventually(star.expect_everyone)
    time.sleep(2)
    source = east if kind == 'openldap' else north
    for number in (70, 71):     # by the schedule it would be an hour
        source.ldap.add_person(number)
        star.eventually(star.expect_everyone)
    for spoke in (east, north):
        assert spoke.stop() == 0, spoke.log_text()[-2000:]


def test_a_server_that_tells_of_no_changes(star, slapd_factory):
    """OpenLDAP without syncprov: settle is of no use, and that is said."""
    server = slapd_factory('still', access='access to attrs=contextCSN by * '
                                           'none\n')
    east = star.join('east', server, export_extra=FOLLOW % '1s')
    east.serve()

    def told():
        assert 'settle does nothing here' in east.log_text()
        assert server.base in east.log_text()
    star.eventually(told)


def published(star, count):
    rows = star.hub.json('streams')['streams']
    assert [row['count'] for row in rows] == [count], rows


def worker(spoke, name):
    """The process id of that worker."""
    for pid in process.children(spoke.child.pid):
        try:
            with open('/proc/%d/comm' % pid) as f:
                if f.read().strip() == name:
                    return pid
        except OSError:
            continue
    return None


def last_run(spoke):
    return [row['started_at'] for row in spoke.json('status')['policies']
            if row['policy'] == 'staff']


def test_at_most_once_in_the_settle_time(star, openldap):
    """Whatever happens meanwhile is published when it is over, or when the
    configuration is read anew."""
    openldap.populate(3)
    east = star.join('east', openldap, domains=['west.example'],
                     export_extra=FOLLOW % '1h', import_extra='every = "1h";')
    dn = openldap.add_person(60)
    east.serve()
    star.eventually(lambda: published(star, 4))
    star.eventually(lambda: ended(east))
    first = last_run(east)

    def heard():
        openldap.modify(dn, title='At %s' % time.monotonic())
        assert 'the directory changed' in east.log_text()
    star.eventually(heard)
    openldap.add_person(61)
    for _ in range(15):
        time.sleep(0.2)
        assert worker(east, 'staff') is None and last_run(east) == first
    published(star, 4)
    os.kill(east.child.pid, signal.SIGHUP)
    star.eventually(lambda: published(star, 5))
    star.eventually(lambda: listens(east))
    assert east.stop() == 0, east.log_text()[-2000:]


def listens(spoke):
    assert worker(spoke, 'wait') is not None


def ended(spoke):
    assert worker(spoke, 'staff') is None


class Gate:
    """A relay that lets the first connection wait until it is opened."""

    def __init__(self, listen, target):
        self.target, self.first = target, threading.Lock()
        self.taken, self.opened = threading.Event(), threading.Event()
        self.server = socket.create_server(listen)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,),
                             daemon=True).start()

    def serve(self, near):
        if self.first.acquire(blocking=False):
            self.taken.set()
            self.opened.wait()
        try:
            with near, socket.create_connection(self.target) as far:
                while True:
                    for end in select.select([near, far], [], [])[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        (near if end is far else far).sendall(data)
        except OSError:
            pass        # either end is gone

    def close(self):
        self.opened.set()
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def test_what_is_written_while_an_export_reads_is_heard(star, openldap):
    """The worker that waits for changes is slow to connect; nothing that is
    written until it listens goes unheard."""
    openldap.populate(3)
    east = star.join('east', openldap, domains=['west.example'],
                     export_extra=FOLLOW % '1s', import_extra='every = "1h";')
    with open(east.conf) as conf:
        text = conf.read()
    with open(east.conf, 'w') as out:
        out.write(text.replace(openldap.address, openldap.behind).replace(
            'directory = {', 'directory = {\n\tconnect_timeout = "5m"; '
            'timeout = "5m";'))
    # no import connects before it
    with open(east.directory + '/policies.d/staff.conf') as policies:
        text = policies.read()
    with open(east.directory + '/policies.d/staff.conf', 'w') as out:
        out.write(text.replace('import: (\n\t{', 'import: (\n\t{ enabled = '
                               'false;'))
    gate = Gate((openldap.behind, openldap.tls_port),
                (openldap.address, openldap.tls_port))
    try:
        east.serve()
        assert gate.taken.wait(60), east.log_text()
        star.eventually(lambda: published(star, 3))
        openldap.add_person(60)
        gate.opened.set()
        star.eventually(lambda: published(star, 4))
        openldap.add_person(61)
        star.eventually(lambda: published(star, 5))
        assert east.stop() == 0, east.log_text()[-2000:]
    finally:
        gate.close()


@pytest.mark.parametrize('more', [
    'manager = true;', 'groups = "members";'])
def test_whoever_comes_along_from_elsewhere_is_followed(
        star, openldap, uplands, more):
    """Of two servers the policy names a place of one; a manager, or a member,
    lies on the other."""
    uplands.empty(uplands.staff)
    far = uplands.add_person(1, forest='south')
    near = openldap.add_person(1, manager=far)
    openldap.add('cn=All,' + openldap.staff, {
        'objectClass': 'groupOfNames', 'cn': 'All', 'member': [near, far]})
    east = star.join('east', openldap, ['west.example', 'south.example'],
                     directory_extra=domain(uplands),
                     export_extra=FOLLOW % '1s' + more,
                     import_extra='every = "1h";')
    east.serve()
    star.eventually(lambda: published(star, 2))
    version = star.hub.json('streams')['streams'][0]['version']
    uplands.modify(far, title='Changed elsewhere')

    def followed():
        assert star.hub.json('streams')['streams'][0]['version'] > version
    star.eventually(followed)
    assert east.stop() == 0, east.log_text()[-2000:]
    uplands.delete(far)
