"""One change at a time, as each feed tells it: what enters and leaves a
policy's places, and what is another object afterwards and what is the same."""

import os
import sqlite3

import ldap
import pytest

from test_collect import Source
from test_feed import guid, restore, uuid

FEEDS = [('dirsync', 'admin'), ('dirsync', 'service'), ('usn', 'admin'),
         ('syncrepl', 'service')]


class Steps:
    """A source with five people in Staff, one in Second, two in a unit."""

    def __init__(self, directory, tmp_path, feed, who):
        self.directory, self.feed = directory, feed
        self.ad = feed != 'syncrepl'
        self.source = Source(directory, tmp_path, feed, *(
            (directory.admin_dn, directory.admin_password)
            if who == 'admin' else ()))
        self.unit = self.source.inner
        self.people = [self.add(number) for number in range(5)]
        self.to(self.add(5), self.source.second)
        for number in (6, 7):
            self.to(self.add(number), self.unit)
        # a tombstone, so that who may see those does
        directory.delete(self.add(8))
        assert self.source.read()['count'] == 8
        self.source.read()      # what came shortly before may be told again

    def add(self, number):
        return self.directory.add_person(number)

    def to(self, dn, parent):
        rdn = ldap.dn.dn2str(ldap.dn.str2dn(dn)[:1])
        self.directory.rename(dn, rdn, parent)
        return '%s,%s' % (rdn, parent)

    def expect(self, added=0, modified=0, deleted=0, truth=True):
        seen = self.source.read()
        log = self.source.log
        got = seen['added'], seen['modified'], seen['deleted']
        assert got == (added, modified, deleted), (got, log)
        assert not seen['whole'] and not seen['defect'], log
        assert seen['feed'] == self.feed
        if truth:
            assert seen['root'] == self.source.truth(), log

    def identity(self, dn):
        return (guid if self.ad else uuid)(self.directory, dn)

    def live(self):
        with sqlite3.connect(os.path.join(self.source.home, 'own.db')) as db:
            return {row[0].hex() for row in db.execute(
                'SELECT id FROM object WHERE deleted = 0')}


@pytest.fixture
def steps(request, clean, tmp_path):
    feed, who = request.param
    if feed == 'syncrepl':
        server = request.getfixturevalue('openldap')
        for place in (server.staff, server.partners):
            server.empty(place)
        return Steps(server, tmp_path, feed, who)
    return Steps(clean['south'], tmp_path, feed, who)


each_feed = pytest.mark.parametrize(
    'steps', FEEDS, indirect=True, ids=['-'.join(feed) for feed in FEEDS])


@each_feed
def test_a_person_moves(steps):
    source, staff = steps.source, steps.directory.staff
    dn = steps.people[0]
    same = steps.identity(dn)
    dn = steps.to(dn, steps.directory.partners)     # out of all places
    steps.expect(deleted=1)
    dn = steps.to(dn, staff)
    steps.expect(added=1)
    dn = steps.to(dn, source.hole)                  # what is left out
    steps.expect(deleted=1)
    dn = steps.to(dn, source.second)                # into the other place
    steps.expect(added=1)
    dn = steps.to(dn, steps.unit)                   # from place to place
    steps.expect(modified=1)
    steps.directory.rename(dn, 'CN=Another Name')
    steps.expect(modified=1)
    assert steps.identity('CN=Another Name,' + steps.unit) == same
    assert same in steps.live()
    # there and back between two runs
    dn = steps.to('CN=Another Name,' + steps.unit, steps.directory.partners)
    steps.to(dn, steps.unit)
    steps.expect()


@each_feed
def test_a_unit_moves(steps):
    source, directory = steps.source, steps.directory
    inner = steps.to(steps.unit, directory.partners)
    steps.expect(deleted=2)
    inner = steps.to(inner, directory.staff)
    steps.expect(added=2)
    directory.rename(inner, 'OU=Renamed')
    inner = 'OU=Renamed,' + directory.staff
    steps.expect(modified=2)
    inner = steps.to(inner, source.hole)
    steps.expect(deleted=2)
    inner = steps.to(inner, source.second)
    steps.expect(added=2)
    # the hole itself, with somebody in it, and somebody put into it there
    steps.to(steps.people[1], source.hole)
    hole = steps.to(source.hole, directory.partners)
    # a new reader would not find it under its name: no truth to compare with
    steps.expect(deleted=1, truth=False)
    steps.to(steps.people[2], hole)
    steps.expect(deleted=1, truth=False)
    steps.to(hole, directory.staff)
    steps.expect()


@each_feed
def test_a_person_is_deleted_and_comes_back(steps):
    directory, dn = steps.directory, steps.people[0]
    same = steps.identity(dn)
    directory.delete(dn)
    steps.expect(deleted=1)
    assert same not in steps.live()
    if steps.ad:
        # reanimated: the same object, but it kept hardly anything
        restore(directory, same, dn)
        steps.expect()
        directory.modify(dn, mail='back@south.example', displayName='Back',
                         mailNickname='back',
                         proxyAddresses=['SMTP:back@south.example'])
        steps.expect(added=1)
        assert same in steps.live()
    else:
        # the same name is another entry
        steps.add(0)
        steps.expect(added=1)
        assert same not in steps.live()
    # made and deleted between two runs: nobody need hear of it
    directory.delete(steps.add(20))
    steps.expect()


@each_feed
def test_a_person_stops_being_one_to_export(steps):
    directory, dn = steps.directory, steps.people[0]
    mail = {'mail': directory.read(dn, ['mail'])['mail']}
    if steps.ad:
        mail.update(directory.read(dn, ['proxyAddresses']))
        directory.modify(dn, extensionAttribute3='NoGALsync')
        steps.expect(deleted=1)
        directory.modify(dn, extensionAttribute3=None)
        steps.expect(added=1)
        directory.modify(dn, msExchHideFromAddressLists='TRUE')
        steps.expect(deleted=1)
        directory.modify(dn, msExchHideFromAddressLists=None)
        steps.expect(added=1)
    directory.modify(dn, **{name: None for name in mail})
    steps.expect(deleted=1)
    directory.modify(dn, **mail)
    steps.expect(added=1)
    directory.modify(dn, title='Only This')
    steps.expect(modified=1)
