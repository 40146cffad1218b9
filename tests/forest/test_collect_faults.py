"""Directories that are restored, die in the middle of a page or close their
doors: what was read stays, or everything is read anew; never a half."""

import os
import select
import shutil
import signal
import socket
import threading

import pytest

from test_collect import Source
from testbed import slapd


@pytest.fixture
def private(scratch, block, authority):
    """private(log): a slapd of one test, with or without a session log."""
    made = []

    def build(log=True):
        whole = slapd.CONFIGURATION
        if not log:
            slapd.CONFIGURATION = whole.replace(
                'syncprov-sessionlog 10000\n', '')
        try:
            made.append(slapd.Slapd('private', block.address(24), authority,
                                    scratch))
        finally:
            slapd.CONFIGURATION = whole
        return made[0].start()

    yield build
    for server in made:
        server.stop()
        shutil.rmtree(server.home)


def people(directory):
    return sorted(directory.search(directory.staff, '(objectClass=person)',
                                   ['1.1']))


def lose(directory):
    """Changes of every sort, which a backup of before does not have."""
    dns = people(directory)
    directory.modify(dns[0], title='Lost')
    directory.delete(dns[1])
    directory.rename(dns[2], 'CN=Lost Name')
    directory.add_person(300)


def read_on(source, *more):
    """A reading that must be as if everything were read."""
    seen = source.read(*more)
    log = source.log
    assert seen['root'] == source.truth(), log
    source.log = log
    return seen


@pytest.mark.parametrize('written', [False, True],
                         ids=['as it was', 'written since'])
@pytest.mark.parametrize('last', ['add', 'delete'])
@pytest.mark.parametrize('log', [True, False], ids=['log', 'no log'])
def test_openldap_restored_from_a_dump(private, tmp_path, written, log, last):
    server = private(log)
    server.populate(20)
    source = Source(server, tmp_path, 'syncrepl')
    assert source.read()['count'] == 20
    dump = server.save()
    lose(server)
    if last == 'delete' and log:
        server.delete(people(server)[7])
    seen = read_on(source)
    assert not seen['whole']
    server.restore(dump)
    if written:
        server.add_person(310)
    else:
        # It may only be behind, and then what it lacks is not deleted.
        assert 'was read before' in source.read(expect=1)
    seen = read_on(source, *() if written else ('empty',))
    assert seen['whole']
    assert ('restored from a backup' if written else
            'syncrepl was refused') in source.log
    server.modify(people(server)[5], title='After')
    assert not read_on(source)['whole']


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_active_directory_restored(clean, tmp_path, feed):
    """A domain controller that was put back, with a new invocationId."""
    forest = clean['west']
    forest.populate(12)
    source = Source(forest, tmp_path, feed)
    assert source.read()['count'] == 12
    copy = forest.save()
    lose(forest)
    seen = read_on(source)
    assert not seen['whole'] and seen['count'] == 12
    forest.restore(copy)
    forest.add_person(310)
    # It may only be behind, and then what it lacks is not deleted.
    assert 'was read before' in source.read(expect=1)
    seen = read_on(source, 'empty')
    assert seen['whole'] and seen['count'] == 13
    assert 'another domain controller, or a restored one' in source.log
    forest.modify(people(forest)[5], title='After')
    assert not read_on(source)['whole']
    # one that has lost nothing is read on
    forest.restore(forest.save())
    forest.add_person(311)
    seen = read_on(source)
    assert seen['whole'] and seen['added'] == 1
    assert not source.read()['whole']


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_active_directory_put_back_as_it_was(clean, tmp_path, feed):
    """A snapshot of the machine: the same invocationId, older numbers."""
    forest = clean['west']
    forest.populate(12)
    source = Source(forest, tmp_path, feed)
    assert source.read()['count'] == 12
    copy = forest.save()
    lose(forest)
    read_on(source)
    forest.restore(copy, proper=False)
    said = source.read(expect=1)
    assert 'was read before' in said and 'went back' in said, said
    assert read_on(source, 'empty')['whole']
    assert 'back at an earlier state' in source.log
    forest.add_person(312)
    assert not read_on(source)['whole']


class Trap:
    """A relay in front of a server that ends the server when so many bytes of
    an answer have passed."""

    def __init__(self, listen, target, spring):
        self.target, self.spring, self.limit = target, spring, None
        self.passed, self.lock = 0, threading.Lock()
        self.server = socket.create_server(listen)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,),
                             daemon=True).start()

    def serve(self, near):
        try:
            with near, socket.create_connection(self.target) as far:
                self.relay(near, far)
        except OSError:
            pass        # either end is gone

    def relay(self, near, far):
        while True:
            for end in select.select([near, far], [], [], 30)[0]:
                data = end.recv(4096)
                if not data:
                    return
                if end is far:
                    self.count(len(data))
                (near if end is far else far).sendall(data)

    def count(self, size):
        with self.lock:
            self.passed += size
            if self.limit and self.passed >= self.limit:
                self.limit = None
                self.spring()

    def set(self, limit):
        self.passed, self.limit = 0, limit

    def close(self):
        # closed alone it goes on listening while accept() waits
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def dies_in_a_page(directory, source, kill):
    """Somewhere in each third of a whole reading, in pages of 20."""
    trap = Trap((directory.behind, 636), (directory.address, 636), kill)
    conf = os.path.join(source.home, 'spoke.conf')
    with open(conf) as f:
        text = f.read()
    with open(conf, 'w') as out:
        out.write(text.replace(directory.uri, 'ldaps://' + directory.behind)
                  .replace('directory = {', 'directory = {\n\tpage_size = 20;'))
    try:
        first = source.read()
        trap.set(None)
        directory.modify(people(directory)[0], title='Counted')
        assert source.read()['modified'] == 1
        whole = trap.passed
        for share in (0.4, 0.7, 0.95):
            directory.modify(people(directory)[1], title='At %s' % share)
            directory.delete(people(directory)[2])
            trap.set(int(whole * share))
            said = source.read(expect=1)
            assert trap.limit is None       # it was sprung
            assert directory.behind in said, said
            directory.child.wait()
            directory.child = None
            directory.close()
            directory.start()
            directory.wait()
        trap.set(None)
        seen = read_on(source)
        assert seen['deleted'] == 3 and seen['modified'] == 1
        assert seen['count'] == first['count'] - 3
    finally:
        trap.close()


def test_active_directory_dies_in_a_page(clean, tmp_path):
    forest = clean['west']
    forest.populate(90)
    dies_in_a_page(forest, Source(forest, tmp_path, 'full'),
                   lambda: forest.child.kill())


def test_openldap_dies_in_a_page(private, tmp_path):
    server = private()
    server.populate(90)
    dies_in_a_page(server, Source(server, tmp_path, 'full'),
                   lambda: server.child.kill())


def test_openldap_falls_silent_in_a_page(private, tmp_path):
    """Neither an end nor an answer: the reading ends by its own clock."""
    server = private()
    server.populate(90)
    source = Source(server, tmp_path, 'full')
    trap = Trap((server.behind, 636), (server.address, 636),
                lambda: server.child.send_signal(signal.SIGSTOP))
    conf = os.path.join(source.home, 'spoke.conf')
    with open(conf) as f:
        text = f.read()
    with open(conf, 'w') as out:
        out.write(text.replace(server.uri, 'ldaps://' + server.behind).replace(
            'directory = {', 'directory = {\n\tpage_size = 20;\n'
            '\ttimeout = "1s";'))
    try:
        first = source.read()
        whole = trap.passed
        server.delete(people(server)[0])
        trap.set(whole // 2)
        said = source.read(expect=1)
        assert trap.limit is None
        assert 'did not answer in time' in said and server.behind in said
        server.child.send_signal(signal.SIGCONT)
        trap.set(None)
        seen = read_on(source)
        assert seen['deleted'] == 1 and seen['count'] == first['count'] - 1
    finally:
        server.child.send_signal(signal.SIGCONT)
        trap.close()


def closed_door(source, deny, allow, places):
    """The account may not read its places any more: a search still succeeds,
    and finds nothing. Nothing is deleted, whether or not the feed tells that
    something was written."""
    directory = source.directory
    count = source.read()['count']
    for deny_now, said in deny:
        deny_now()
        try:
            directory.modify(people(directory)[0], title='Unseen')
            seen = source.read('full', expect=1)
            assert any(words in seen for words in said), seen
            assert places in seen, seen
            # the feed alone never takes silence for deletions
            result = source.try_read()
            assert result is None or (
                result['deleted'] == 0 and result['count'] == count), result
        finally:
            allow()
    seen = read_on(source)
    assert seen['count'] == count and seen['deleted'] == 0


ACCESS = 'access to %s by dn.exact="cn=svc-galrelay,%s" none by * none\n'


def test_openldap_withdraws_rights(private, tmp_path):
    server = private()
    server.populate(20)
    source = Source(server, tmp_path, 'auto')
    closed_door(source, [
        (lambda: server.restart(access=ACCESS % (
            'dn.children="%s"' % server.staff, server.base)),
         ['the search succeeded and found nothing']),
        (lambda: server.restart(access=ACCESS % (
            'dn.subtree="%s"' % server.staff, server.base)),
         ['this OU has vanished']),
    ], server.restart, server.staff)


def test_active_directory_withdraws_rights(clean, tmp_path):
    forest = clean['west']
    forest.populate(12)
    source = Source(forest, tmp_path, 'auto')
    sid = forest.sid_of(forest.service_dn)
    # list contents; and read properties of the unit itself
    below, whole = ('(D;;%s;;;%s)' % (rights, sid)
                    for rights in ('LC', 'RPLCLO'))
    before = forest.access(forest.staff)
    closed_door(source, [
        (lambda: forest.grant(forest.staff, below), ['found nothing']),
        (lambda: forest.grant(forest.staff, whole), [
            'has no objectGUID; let the account read it'])],
        lambda: forest.set_access(forest.staff, before), forest.staff)
