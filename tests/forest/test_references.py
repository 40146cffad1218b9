"""Managers and members are carried as ids of objects of the same stream."""

import json
import os
import sqlite3
import subprocess

import ldap
import pytest
from group_source import in_catalogue, user
from test_collect import PROBE, Editor, Source, random_edits
from testbed.reader import Reader, domain, ou

MANAGER, MEMBERS, ALONG = 5, 6, 7


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The top-level fields of a protobuf message."""
    at, found = 0, {}
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        found.setdefault(tag >> 3, []).append(value)
    return found


class Stream:
    """What a source's replica holds: bodies by the name in front of the DN."""

    def __init__(self, source, replica='own.db'):
        path = os.path.join(source.home, replica)
        with sqlite3.connect(path) as db:
            rows = db.execute('SELECT id, body FROM object '
                              'WHERE deleted = 0').fetchall()
        self.names, self.bodies = {}, {}
        for oid, body in rows:
            found = fields(body)
            dn = found[2][0].decode()
            name = dn.split(',')[0].split('=')[1]
            self.names[oid], self.bodies[name] = name, found

    def manager(self, name):
        ids = self.bodies[name].get(MANAGER)
        return self.names[ids[0]] if ids else None

    def members(self, name):
        """None: not carried."""
        if MEMBERS not in self.bodies[name]:
            return None
        data = self.bodies[name][MEMBERS][0]
        return sorted(self.names[data[i:i + 16]]
                      for i in range(0, len(data), 16))

    def along(self):
        return sorted(name for name, body in self.bodies.items()
                      if ALONG in body)

    def everyone(self):
        return sorted(self.bodies)


def counted(source):
    """What galspoke count says."""
    done = subprocess.run(
        [os.path.join(os.path.dirname(PROBE), '..', '..', 'galspoke'),
         '--config', source.conf, 'count', '--json', 'staff'],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Company(Source):
    """Staff goes out; Board does not, but for managers."""

    def __init__(self, directory, tmp_path, feed='auto', more='',
                 who=None, secret=None):
        super().__init__(directory, tmp_path, feed, who, secret,
                         more or 'manager = true;')
        self.board = self.unit('Board', directory.base)
        self.person('Resident', second=True)

    def person(self, name, board=False, second=False, **more):
        place = (self.board if board else
                 self.second if second else self.directory.staff)
        mail = name.lower().replace(' ', '.') + '@north.example'
        entry = {'cn': name, 'sn': name, 'mail': mail}
        if hasattr(self.directory, 'add_group'):
            entry.update({'objectClass': 'user', 'mailNickname': name.lower(),
                          'sAMAccountName': name,
                          'userAccountControl': '544',
                          'proxyAddresses': ['SMTP:' + mail]})
        else:
            entry['objectClass'] = 'inetOrgPerson'
        entry.update(more)
        return self.directory.add('CN=%s,%s' % (name, place), entry)

    def same(self):
        """Reads what was touched; a reader of everything finds the same."""
        seen = self.read()
        truth = self.truth()
        assert not seen['whole'], self.log
        assert seen['root'] == truth, self.log
        return Stream(self)


@pytest.fixture
def company(clean, tmp_path):
    made = []

    def make(directory=None, **more):
        directory = directory or clean['north']
        directory.empty(directory.staff)
        made.append(Company(directory, tmp_path, **more))
        return made[-1]
    yield make
    for source in made:
        for unit in (source.board, source.second):
            source.directory.empty(unit)
            source.directory.delete(unit)


FEEDS = ['dirsync', 'usn', 'syncrepl']


@pytest.fixture(params=FEEDS)
def anywhere(request, company):
    """A company on each kind of directory, with each feed."""
    def make(**more):
        if request.param == 'syncrepl':
            return company(request.getfixturevalue('openldap'),
                           feed=request.param, **more)
        return company(feed=request.param, **more)
    return make


def test_a_manager_comes_along_and_goes(anywhere):
    c = anywhere()
    d = c.directory
    boss = c.person('Boss', board=True)
    chief = c.person('Chief', board=True)
    d.modify(boss, manager=chief)
    first = c.person('First', manager=boss)
    second = c.person('Second', manager=boss)
    c.person('Third', manager=first)
    assert c.read()['whole']
    s = Stream(c)
    assert s.everyone() == ['Boss', 'First', 'Resident', 'Second', 'Third']
    assert s.along() == ['Boss']
    assert [s.manager(n) for n in ('First', 'Second', 'Third', 'Boss')] == [
        'Boss', 'Boss', 'First', None]
    said = counted(c)
    assert said['objects'] == 5 and said['along'] == 1
    assert said['untold_managers'] == 0
    # what changes of him is told
    d.modify(boss, title='President')
    s = c.same()
    assert b'President' in b''.join(s.bodies['Boss'][4])
    # renamed: nobody else changes where names come with ids
    d.rename(boss, 'CN=Bigboss')
    boss = 'CN=Bigboss,' + c.board
    if d.__class__.__name__ == 'Slapd':
        s = c.same()
        assert s.along() == [] and s.manager('First') is None
        d.modify(first, manager=boss)
        d.modify(second, manager=boss)
    s = c.same()
    assert s.along() == ['Bigboss'] and s.manager('Second') == 'Bigboss'
    # the last subordinate decides
    d.modify(first, manager=None)
    assert c.same().along() == ['Bigboss']
    d.modify(second, manager=chief)
    s = c.same()
    assert s.along() == ['Chief'] and s.manager('Second') == 'Chief'
    d.delete(second)
    assert c.same().along() == []
    # his own manager is carried when he is there for another reason
    d.modify(first, manager=boss)
    c.person('Fourth', manager=chief)
    s = c.same()
    assert s.along() == ['Bigboss', 'Chief']
    if d.__class__.__name__ != 'Slapd':
        assert s.manager('Bigboss') == 'Chief'


def test_who_hides_does_not_come_along(anywhere):
    c = anywhere()
    d = c.directory
    boss = c.person('Boss', board=True)
    c.person('First', manager=boss)
    c.read()
    assert Stream(c).manager('First') == 'Boss'
    for change in ([{'msExchHideFromAddressLists': 'TRUE'},
                    {'extensionAttribute3': 'NoGALsync'}]
                   if hasattr(d, 'add_group') else []) + [{'mail': None}]:
        if hasattr(d, 'add_group') and 'mail' in change:
            change['proxyAddresses'] = None
        d.modify(boss, **change)
        s = c.same()
        assert s.everyone() == ['First', 'Resident'], change
        said = counted(c)
        assert said['untold_managers'] == 1
        # nobody chose him: he is no candidate who was left out
        users = said['kinds']['user']
        assert sum(users.values()) == users['exported'] == 2, users
        assert s.manager('First') is None
        # a whole reading finds the same
        assert c.read('full')['modified'] == 0
        back = {name: None for name in change}
        if 'mail' in change:
            back['mail'] = 'boss@north.example'
        if 'proxyAddresses' in change:
            back['proxyAddresses'] = ['SMTP:boss@north.example']
        d.modify(boss, **back)
        s = c.same()
        assert s.along() == ['Boss'] and s.manager('First') == 'Boss'
    # out of the policy's places by an exclusion: he stays out
    d.rename(boss, 'CN=Boss', c.hole)
    if hasattr(d, 'add_group'):
        assert c.same().along() == []
    d.delete('CN=Boss,' + c.hole)
    assert c.same().everyone() == ['First', 'Resident']


def test_a_manager_who_is_chosen_later(anywhere):
    c = anywhere()
    d = c.directory
    boss = c.person('Boss', board=True)
    first = c.person('First', manager=boss)
    c.read()
    d.rename(boss, 'CN=Boss', d.staff)
    if not hasattr(d, 'add_group'):
        d.modify(first, manager='CN=Boss,' + d.staff)
    s = c.same()
    assert s.along() == [] and s.manager('First') == 'Boss'
    d.rename('CN=Boss,' + d.staff, 'CN=Boss', c.board)
    if not hasattr(d, 'add_group'):
        d.modify(first, manager=boss)
    s = c.same()
    assert s.along() == ['Boss'] and s.manager('First') == 'Boss'


# --- memberships ---

def ad(d):
    return hasattr(d, 'add_group')


def group(c, name, members, place=None, **more):
    d = c.directory
    dn = 'CN=%s,%s' % (name, place or d.staff)
    entry = {'cn': name, 'mail': name.lower() + '@north.example',
             'member': list(members)}
    if ad(d):
        entry.update({'objectClass': 'group', 'sAMAccountName': name,
                      'groupType': '8', 'mailNickname': name,
                      'proxyAddresses': ['SMTP:' + entry['mail']]})
        if not members:
            del entry['member']
    else:
        entry['objectClass'] = ['groupOfNames', 'extensibleObject']
    entry.update(more)
    return d.add(dn, entry)


def change(c, dn, verb, member):
    c.directory.link.modify_s(dn, [(verb, 'member', [member.encode()])])


def test_memberships(anywhere):
    c = anywhere()
    d = c.directory
    one, two, three = (c.person(n) for n in ('One', 'Two', 'Three'))
    out = c.person('Out', board=True)
    inner = group(c, 'Inner', [two])
    outer = group(c, 'Outer', [one, out, inner])
    c.read()
    s = Stream(c)
    assert s.members('Outer') == ['Inner', 'One']
    assert s.members('Inner') == ['Two']
    assert s.members('One') is None
    # in and out
    change(c, outer, ldap.MOD_ADD, three)
    change(c, outer, ldap.MOD_DELETE, one)
    assert c.same().members('Outer') == ['Inner', 'Three']
    # a member who hides is not told of, and comes back
    d.modify(three, mail=None, **({'proxyAddresses': None} if ad(d) else {}))
    assert c.same().members('Outer') == ['Inner']
    d.modify(three, mail='three@north.example', **(
        {'proxyAddresses': ['SMTP:three@north.example']} if ad(d) else {}))
    assert c.same().members('Outer') == ['Inner', 'Three']
    # one who comes in was named before
    d.rename(out, 'CN=Out', d.staff)
    if not ad(d):
        assert c.same().members('Outer') == ['Inner', 'Three']
        change(c, outer, ldap.MOD_ADD, 'CN=Out,' + d.staff)
    assert c.same().members('Outer') == ['Inner', 'Out', 'Three']
    # one who is deleted; the group is not touched
    d.delete(three)
    assert c.same().members('Outer') == ['Inner', 'Out']
    d.delete(inner)
    assert c.same().members('Outer') == ['Out']
    d.delete('CN=Out,' + d.staff)
    assert c.same().members('Outer') == []
    if not ad(d):
        # the name has an entry again
        c.person('Three')
        assert c.same().members('Outer') == ['Three']


def test_members_by_their_primary_group(company):
    """Whom the group does not name, also when one is made anew."""
    c = company()
    d = c.directory
    one, two = (c.person(n) for n in ('One', 'Two'))
    first = group(c, 'First', [one, two], groupType='-2147483646')
    everybody = 'CN=Domain Users,CN=Users,' + d.base
    d.modify(everybody, mail='all@north.example', mailNickname='all',
             proxyAddresses=['SMTP:all@north.example'])
    try:
        with open(os.path.join(c.home, 'policies.d', 'staff.conf')) as f:
            text = f.read()
        with open(os.path.join(c.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(text.replace(
                'from = (', 'from = ( { object = "%s"; },' % everybody))
        c.read()
        rid = int.from_bytes(d.read(
            first, ['objectSid'])['objectSid'][0][-4:], 'little')
        s = Stream(c)
        assert s.members('First') == ['One', 'Two']
        assert s.members('Domain Users') == ['One', 'Resident', 'Two']
        d.modify(one, primaryGroupID=rid)
        s = c.same()
        assert s.members('First') == ['One', 'Two']
        assert d.read(first, ['member'])['member'] == [two.encode()]
        change(c, first, ldap.MOD_DELETE, two)
        assert c.same().members('First') == ['One']
        # she is in no list and touches no group
        c.person('Three')
        s = c.same()
        assert s.members('Domain Users') == [
            'One', 'Resident', 'Three', 'Two']
        d.modify(one, primaryGroupID=513)
        change(c, first, ldap.MOD_DELETE, one)
        assert c.same().members('First') == []
        d.modify('CN=Three,' + d.staff, mail=None, proxyAddresses=None)
        assert c.same().members('Domain Users') == ['One', 'Resident', 'Two']
    finally:
        d.modify(everybody, mail=None, mailNickname=None, proxyAddresses=None)


def test_memberships_switched_off(company):
    c = company(more='memberships = false;')
    one = c.person('One', manager='CN=Resident,' + c.second)
    group(c, 'Outer', [one])
    c.read()
    s = Stream(c)
    assert s.members('Outer') is None and s.manager('One') is None
    c.more = 'manager = true; deny = [ "member", "manager" ];'
    c.policy('auto')
    c.read()
    s = Stream(c)
    assert s.members('Outer') is None and s.manager('One') is None
    c.more = 'manager = true;'
    c.policy('auto')
    c.read()
    s = Stream(c)
    assert s.members('Outer') == ['One'] and s.manager('One') == 'Resident'


def test_hidden_membership_stays_here(company):
    c = company()
    one = c.person('One')
    outer = group(c, 'Outer', [one], hideDLMembership='TRUE')
    c.read()
    assert Stream(c).members('Outer') is None
    c.directory.modify(outer, hideDLMembership='FALSE')
    assert c.same().members('Outer') == ['One']
    c.directory.modify(outer, hideDLMembership='TRUE')
    assert c.same().members('Outer') is None


def test_a_name_that_means_somebody_else(company, openldap):
    """Where references are names: a whole reading believes in those of the
    last one, and finds out when it should not."""
    c = company(openldap, feed='full')
    d = c.directory
    boss = c.person('Boss', board=True)
    chosen = c.person('Chosen')
    c.person('First', manager=boss)
    c.person('Second', manager=chosen)
    c.person('Third', manager='CN=Nobody,' + d.staff)
    group(c, 'All', [chosen, boss, 'CN=Nobody,' + d.staff])

    def whole():
        seen = c.read('full')
        assert seen['root'] == c.truth()
        return seen
    whole()
    seen = whole()
    assert seen['modified'] == 0
    c.directory.modify(chosen, title='Other')
    c.read()
    assert 'read again' not in c.log
    # of one who was along, of one who was chosen; then the name has an entry
    d.rename(boss, 'CN=Bigboss')
    c.read()
    assert 'read again' in c.log
    s = Stream(c)
    assert s.along() == [] and s.manager('First') is None
    assert s.manager('Second') == 'Chosen' and whole()['modified'] == 0
    d.rename(chosen, 'CN=Choosy')
    c.read()
    assert 'read again' in c.log
    assert Stream(c).manager('Second') is None
    assert Stream(c).members('All') == []
    c.person('Chosen', title='Another')
    c.person('Nobody')
    c.read()
    s = Stream(c)
    assert s.manager('Second') == 'Chosen' and s.manager('Third') == 'Nobody'
    assert s.members('All') == ['Chosen', 'Nobody']
    assert whole()['modified'] == 0


@pytest.mark.parametrize('feed', ['usn', 'dirsync'])
def test_a_manager_in_another_domain(family, tmp_path, feed):
    """Comes along, is followed at his own controller, and goes."""
    root, child = family.root, family.child
    for one in (root, child):
        one.empty(one.staff)
    boss, one = user(child, 'boss' + feed), user(root, 'one')
    in_catalogue(family, boss)
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy(ou(root), feed=feed, more='manager = true;')
    root.modify(one, manager=boss)
    first = reader.read()
    assert first['whole'] and first['count'] == 2, reader.log
    child.modify(boss, title='President')
    touched = reader.read()
    assert not touched['whole'] and touched['modified'] == 1, reader.log
    assert touched['root'] == reader.truth()
    child.modify(boss, msExchHideFromAddressLists='TRUE')
    touched = reader.read()
    assert not touched['whole'] and touched['count'] == 1, reader.log
    assert touched['root'] == reader.truth()
    child.modify(boss, msExchHideFromAddressLists=None)
    assert reader.read()['count'] == 2
    root.modify(one, manager=None)
    touched = reader.read()
    assert not touched['whole'] and touched['count'] == 1, reader.log
    assert touched['root'] == reader.truth()


# --- the same whichever way it is read ---

class ReferenceEditor(Editor):
    """Edits of managers and members, among the others; people who are moved
    to Partners are outside of the policy."""

    EDITS = Editor.EDITS + 2 * [
        'manage', 'manage', 'manage', 'unmanage', 'join', 'join', 'leave',
        'title_outside', 'hide']

    def settle_residents(self):
        super().settle_residents()
        stay = self.directory.search(
            self.source.second, '(cn=Resident*)', ['1.1'])
        self.groups = [
            group(self.source, 'Group %d' % i, list(stay)[:1])
            for i in range(3)]
        for _ in range(4):
            self.number += 1
            self.create('Outside %d' % self.number, self.directory.partners)

    def everyone(self):
        return self.people() + sorted(self.directory.search(
            self.directory.partners, '(objectClass=person)', ['1.1']))

    def anyone(self):
        return self.rng.choice(self.everyone())

    def manage(self):
        self.directory.modify(self.anyone(), manager=self.anyone())

    def unmanage(self):
        self.directory.modify(self.anyone(), manager=None)

    def title_outside(self):
        self.directory.modify(
            self.anyone(), title='O%d' % self.rng.randrange(10 ** 9))

    def hide(self):
        if self.ad:
            self.directory.modify(
                self.anyone(), msExchHideFromAddressLists=self.rng.choice(
                    ['TRUE', None]))

    def join(self):
        try:
            change(self.source, self.rng.choice(self.groups), ldap.MOD_ADD,
                   self.anyone())
        except ldap.TYPE_OR_VALUE_EXISTS:
            pass

    def leave(self):
        dn = self.rng.choice(self.groups)
        members = sorted(value.decode() for value in self.directory.read(
            dn, ['member']).get('member', []))
        if len(members) > 1:
            change(self.source, dn, ldap.MOD_DELETE, self.rng.choice(members))


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_random_edits_of_active_directory(clean, tmp_path, feed):
    forest = clean['north']
    source = Source(forest, tmp_path, feed, more='manager = true;')
    random_edits(source, feed, make=ReferenceEditor)


def test_random_edits_of_openldap(openldap, tmp_path):
    source = Source(openldap, tmp_path, 'auto', more='manager = true;')
    random_edits(source, 'syncrepl', make=ReferenceEditor)
