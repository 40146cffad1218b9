"""Change feeds against real servers: what each kind tells, and when it cannot."""

import json
import os
import subprocess
import time

import ldap
from ldap.controls import LDAPControl
import pytest
from testbed import people, slapd

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROBE = os.path.join(os.environ.get('GALRELAY_BUILD',
                                    os.path.join(ROOT, 'build')),
                     'tests', 'forest', 'feed_probe')


class Feed:
    """One reader of one feed: keeps the cookie between calls."""

    def __init__(self, directory, kind, who=None, secret=None, uri=None,
                 base=None):
        self.directory, self.kind, self.cookie = directory, kind, ''
        self.uri, self.base = uri or directory.uri, base or directory.base
        self.who = who or directory.service_dn
        self.secret = secret or directory.service_password

    def ask(self, keep=True):
        done = subprocess.run(
            [PROBE, self.uri, self.who, self.secret,
             self.directory.ca, self.base, self.kind, self.cookie],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        *events, end = [json.loads(line) for line in done.stdout.splitlines()]
        self.seen, self.end = {}, end
        for event in events:
            self.seen.setdefault(event['id'], set()).add(event['event'])
        if keep:
            self.cookie = end['cookie']
        return end['answer']

    def gone(self, known):
        """Which of the known ids are no more, as a reader concludes."""
        out = {i for i in known if 'deleted' in self.seen.get(i, ())}
        if self.end['answer'] == 'sweep':
            out |= {i for i in known if i not in self.seen}
        return out

    def changed(self):
        return {i for i, events in self.seen.items() if 'changed' in events}


def guid(forest, dn):
    return forest.read(dn, ['objectGUID'])['objectGUID'][0].hex()


def uuid(server, dn):
    return server.read(dn, ['entryUUID'])['entryUUID'][0].decode().replace(
        '-', '')


def plain_account(forest):
    """A user with no right but everybody's."""
    dn = 'CN=plain,CN=Users,' + forest.base
    try:
        forest.add(dn, {
            'objectClass': 'user', 'sAMAccountName': 'plain',
            'userAccountControl': '512',
            'unicodePwd': '"Passw0rd.plain"'.encode('utf-16-le')})
    except ldap.ALREADY_EXISTS:
        pass
    return dn, 'Passw0rd.plain'


def account(forest, name):
    return {'admin': (forest.admin_dn, forest.admin_password),
            'service': (forest.service_dn, forest.service_password),
            'plain': plain_account(forest)}[name]


def restore(forest, identity, dn):
    """Undelete (MS-ADTS 3.1.1.5.3.7.1)."""
    shown = LDAPControl('1.2.840.113556.1.4.417', True)
    raw = ''.join('\\%02x' % byte for byte in bytes.fromhex(identity))
    (tombstone, _), *_ = forest.link.search_ext_s(
        forest.base, ldap.SCOPE_SUBTREE, '(objectGUID=%s)' % raw, ['1.1'],
        serverctrls=[shown])
    forest.link.modify_ext_s(
        tombstone, [(ldap.MOD_DELETE, 'isDeleted', None),
                    (ldap.MOD_REPLACE, 'distinguishedName', [dn.encode()])],
        serverctrls=[shown])


@pytest.mark.parametrize('kind,who,answer', [
    ('dirsync', 'service', 'sweep'), ('dirsync', 'admin', 'touched'),
    ('dirsync', 'plain', 'sweep'), ('usn', 'admin', 'touched'),
    ('usn', 'service', 'sweep')])
def test_active_directory_tells_what_was_touched(clean, kind, who, answer):
    forest = clean['north']
    forest.delete(forest.add_contact('Gone', 'gone@north.example'))
    forest.populate(20)
    unit = forest.add('OU=Unit,' + forest.staff,
                      {'objectClass': 'organizationalUnit'})
    feed = Feed(forest, kind, *account(forest, who))
    assert feed.ask() == 'full' and feed.end['reason'] == 'first reading'
    feed.ask()      # what came shortly before the start may be told once
    known = {guid(forest, dn) for dn in
             forest.search(forest.staff, attributes=['1.1'])}
    assert feed.ask() in (answer, 'touched')
    assert not feed.changed() & known and not feed.gone(known)

    added = forest.add_person(30)
    group = forest.add_group('Group', 'group@north.example', [added])
    modified, renamed, moved, gone, twice, below = sorted(
        forest.search(forest.staff, '(objectClass=user)', ['1.1']))[2:8]
    forest.modify(modified, department='Changed')
    ids = {name: guid(forest, dn) for name, dn in (
        ('added', added), ('group', group), ('modified', modified),
        ('renamed', renamed), ('moved', moved), ('gone', gone),
        ('twice', twice), ('unit', unit))}
    forest.rename(renamed, 'CN=Renamed')
    forest.rename(moved, moved.split(',')[0], unit)
    forest.delete(gone)
    forest.delete(twice)
    assert feed.ask() == answer, feed.end
    known |= set(ids.values())
    assert {ids[n] for n in ('added', 'group', 'modified', 'renamed',
                             'moved')} <= feed.changed()
    assert feed.gone(known) == {ids['gone'], ids['twice']}
    untouched = known - set(ids.values())
    assert not feed.changed() & untouched

    restore(forest, ids['twice'], twice)
    forest.rename(unit, 'OU=Elsewhere')
    assert feed.ask() == answer
    assert ids['twice'] in feed.changed() and ids['unit'] in feed.changed()
    known.discard(ids['gone'])
    assert not feed.gone(known)


@pytest.mark.parametrize('kind', ['dirsync', 'usn'])
def test_a_large_group_is_told_once(clean, kind):
    forest = clean['south']
    forest.delete(forest.add_contact('Gone', 'gone@south.example'))
    forest.populate(200)
    members = sorted(forest.search(forest.staff, '(objectClass=user)',
                                   ['1.1']))
    group = forest.add_group('Everybody', 'all@south.example', members)
    feed = Feed(forest, kind, forest.admin_dn, forest.admin_password)
    feed.ask()
    feed.ask()
    forest.link.modify_s(group, [
        (ldap.MOD_DELETE, 'member', [members[7].encode()])])
    assert feed.ask() == 'touched'
    assert guid(forest, group) in feed.changed()
    assert len(feed.changed()) <= 2


@pytest.mark.parametrize('kind', ['dirsync', 'usn'])
def test_another_domain_controller_means_full(clean, kind):
    north, south = clean['north'], clean['south']
    north.delete(north.add_contact('Gone', 'gone@north.example'))
    feed = Feed(north, kind, north.admin_dn, north.admin_password)
    assert feed.ask() == 'full'
    assert feed.ask() == 'touched'
    good = feed.cookie
    # another forest's: another naming context
    other = Feed(south, kind, south.admin_dn, south.admin_password)
    other.cookie = good
    assert other.ask() == 'full' and other.end['reason'] == 'first reading'
    # the same naming context, from a controller of another invocationId
    raw = bytearray(bytes.fromhex(good))
    start = 5 + 4 + len(north.base) + 4
    raw[start] ^= 1
    feed.cookie = raw.hex()
    assert feed.ask() == 'full'
    assert 'another domain controller' in feed.end['reason']
    assert feed.end['cookie'] and feed.ask() == 'touched'
    # not a cookie at all
    feed.cookie = '00' * 40
    assert feed.ask() == 'full'


def test_sequence_number_that_went_back_means_full(clean):
    forest = clean['north']
    feed = Feed(forest, 'usn', forest.admin_dn, forest.admin_password)
    feed.ask()
    raw = bytes.fromhex(feed.cookie)
    start = 5 + 4 + len(forest.base) + 4 + 32
    number = raw[start + 4:]
    ahead = str(int(number) + 1000).encode()
    feed.cookie = (raw[:start] + len(ahead).to_bytes(4, 'big') + ahead).hex()
    assert feed.ask() == 'full' and 'went back' in feed.end['reason']


def test_auto_chooses_what_the_server_gives(clean, openldap):
    feed = Feed(clean['north'], 'auto')
    assert feed.ask() == 'full' and feed.end['kind'] == 'dirsync'
    assert feed.ask() in ('touched', 'sweep')
    assert feed.end['kind'] == 'dirsync'
    # DirSync is for whole naming contexts; the next best is for any place
    forest = clean['north']
    feed = Feed(forest, 'auto', base=forest.staff)
    assert feed.ask() == 'full' and feed.end['kind'] == 'usn', feed.end
    dn = forest.add_person(3)
    assert feed.ask() == 'sweep' and feed.end['kind'] == 'usn'
    assert feed.changed() == {guid(forest, dn)}
    feed = Feed(openldap, 'auto')
    assert feed.ask() == 'full' and feed.end['kind'] == 'syncrepl'
    assert feed.ask() == 'touched'
    feed = Feed(openldap, 'full')
    assert feed.ask() == 'full' and feed.end['cookie'] == ''


def test_a_feed_of_another_directory_is_refused(openldap):
    done = subprocess.run(
        [PROBE, openldap.uri, openldap.service_dn, openldap.service_password,
         openldap.ca, openldap.base, 'dirsync', ''],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and 'use auto' in done.stdout


def edit_openldap(server, feed):
    """Every sort of change; checks what the feed makes of it."""
    people = sorted(server.search(server.staff, '(objectClass=inetOrgPerson)',
                                  ['1.1']))
    known = {uuid(server, dn) for dn in people}
    unit = server.add('ou=Unit,' + server.staff,
                      {'objectClass': 'organizationalUnit', 'ou': 'Unit'})
    added = server.add_person(500)
    modified, renamed, moved, gone = people[2:6]
    ids = {name: uuid(server, dn) for name, dn in (
        ('unit', unit), ('added', added), ('modified', modified),
        ('renamed', renamed), ('moved', moved), ('gone', gone))}
    server.modify(modified, departmentNumber='Changed')
    server.rename(renamed, 'cn=Renamed')
    server.rename(moved, moved.split(',')[0], unit)
    server.delete(gone)
    answer = feed.ask()
    assert answer in ('touched', 'sweep'), feed.end
    assert {i for n, i in ids.items() if n != 'gone'} == feed.changed()
    assert feed.gone(known) == {ids['gone']}
    return answer


def test_openldap_with_session_log(openldap):
    openldap.populate(20)
    feed = Feed(openldap, 'syncrepl')
    assert feed.ask() == 'full' and feed.end['reason'] == 'first reading'
    assert feed.ask() == 'touched' and not feed.seen
    assert edit_openldap(openldap, feed) == 'touched'
    assert feed.ask() == 'touched' and not feed.seen


@pytest.fixture
def private(scratch, block, authority):
    """A slapd without session log, of one test."""
    made = slapd.CONFIGURATION
    slapd.CONFIGURATION = made.replace('syncprov-sessionlog 10000\n', '')
    try:
        server = slapd.Slapd('feed', block.address(24), authority, scratch)
    finally:
        slapd.CONFIGURATION = made
    yield server.start()
    server.stop()


def test_openldap_without_session_log_and_restarted(private):
    private.populate(300)
    feed = Feed(private, 'syncrepl')
    assert feed.ask() == 'full'
    assert feed.ask() == 'touched'
    assert edit_openldap(private, feed) == 'sweep'
    private.stop()
    private.start()
    private.rename('ou=Unit,' + private.staff, 'ou=Unit2')
    assert feed.ask() in ('touched', 'sweep')
    assert len(feed.changed()) == 1
    # from a state that the server never had
    cookie = bytes.fromhex(feed.cookie)
    at = cookie.index(b'csn=') + 4
    feed.cookie = (cookie[:at] + b'2099' + cookie[at + 4:]).hex()
    assert feed.ask() == 'full' and feed.end['reason']
    assert feed.ask() == 'touched'


def test_openldap_that_lost_track(scratch, block, authority):
    """A cookie from before everything that the server has: with
    syncprov-reloadhint it demands to be read anew."""
    server = slapd.Slapd('stale', block.address(24), authority, scratch,
                         overlays='syncprov-reloadhint TRUE\n')
    try:
        server.start().populate(20)
        feed = Feed(server, 'syncrepl')
        assert feed.ask() == 'full'
        server.modify(server.person_dn(people.person('west', 3)['cn']),
                      title='Changed')
        assert feed.ask() == 'touched' and len(feed.changed()) == 1
        cookie = bytes.fromhex(feed.cookie)
        at = cookie.index(b'csn=') + 4
        feed.cookie = (cookie[:at] + b'1999' + cookie[at + 4:]).hex()
        assert feed.ask() == 'full'
        assert 'e-syncRefreshRequired' in feed.end['reason'], feed.end
        assert feed.ask() == 'touched'
    finally:
        server.stop()


def test_openldap_restarted_with_session_log(openldap):
    openldap.populate(20)
    feed = Feed(openldap, 'syncrepl')
    feed.ask()
    openldap.stop()
    openldap.start()
    edit_openldap(openldap, feed)


def test_openldap_entries_that_are_computed(scratch, block, authority):
    """dynlist above syncprov adds entries without Sync State."""
    server = slapd.Slapd(
        'computed', block.address(24), authority, scratch,
        extra='include /etc/ldap/schema/dyngroup.schema\n'
              'moduleload dynlist',
        overlays='overlay dynlist\n'
                 'dynlist-attrset extensibleObject memberURL member\n')
    try:
        server.start().populate(20)
        made = server.add('cn=list,' + server.base, {
            'objectClass': ['groupOfNames', 'extensibleObject'],
            'cn': 'list', 'member': server.service_dn,
            'memberURL': 'ldap:///%s??sub?(title=T)' % server.staff})
        feed = Feed(server, 'syncrepl')
        assert feed.ask() == 'full' and feed.end['reason'] == 'first reading'
        assert feed.ask() == 'touched' and not feed.seen
        one, two = sorted(server.search(server.staff, '(sn=*)', ['1.1']))[:2]
        server.modify(one, title='T')
        assert feed.ask() == 'touched'
        assert feed.changed() == {uuid(server, one), uuid(server, made)}
        gone = uuid(server, two)
        server.delete(two)
        assert feed.ask() == 'touched' and feed.gone({gone}) == {gone}
        assert feed.ask() == 'touched' and not feed.seen
    finally:
        server.stop()


def test_openldap_limit_means_full(openldap):
    feed = Feed(openldap, 'syncrepl')
    feed.ask()
    openldap.populate(1100)
    assert feed.ask() == 'full' and 'refused' in feed.end['reason']
    assert feed.ask() == 'touched'


def test_openldap_without_syncprov_has_no_feed(scratch, block, authority):
    made = slapd.CONFIGURATION
    slapd.CONFIGURATION = made[:made.index('overlay syncprov')]
    try:
        server = slapd.Slapd('bare', block.address(25), authority, scratch)
    finally:
        slapd.CONFIGURATION = made
    try:
        feed = Feed(server.start(), 'auto')
        assert feed.ask() == 'full' and 'syncprov' in feed.end['reason']
        assert feed.end['kind'] == 'full' and feed.end['cookie'] == ''
    finally:
        server.stop()


class Waiter:
    def __init__(self, directory, milliseconds):
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [PROBE, directory.uri, directory.service_dn,
             directory.service_password, directory.ca, directory.base, 'wait',
             str(milliseconds)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == 'ready\n'

    def result(self):
        out, self.log = self.child.communicate(timeout=120)
        return self.child.returncode, out.strip(), (
            time.monotonic() - self.began)

    def asked(self):
        """Because the server would not tell."""
        return 'it is asked every second' in self.log


def changes_wake(directory, change):
    waiter = Waiter(directory, 1500)
    code, said, took = waiter.result()
    assert (code, said) == (0, '0') and took >= 1.4
    assert not waiter.asked(), waiter.log
    # without a word from the server it would look after a minute
    waiter = Waiter(directory, 100000)
    time.sleep(1)
    change()
    code, said, took = waiter.result()
    assert (code, said) == (0, '1') and took < 50, took
    # what happens between reading the mark and registering is not lost
    waiter = Waiter(directory, 100000)
    change()
    assert waiter.result()[:2] == (0, '1')


def test_waiting_on_openldap(openldap):
    dn = openldap.add_person(1)
    changes_wake(openldap, lambda: openldap.modify(
        dn, title=str(time.time())))
    waiter = Waiter(openldap, 100000)
    openldap.stop()
    code, said, took = waiter.result()
    openldap.start()
    assert code == 1 and took < 50, said


def test_waiting_on_active_directory(clean):
    forest = clean['west']
    dn = forest.add_person(1)
    changes_wake(forest, lambda: forest.modify(dn, title=str(time.time())))


def test_waiting_without_syncprov_asks(scratch, block, authority):
    made = slapd.CONFIGURATION
    slapd.CONFIGURATION = made[:made.index('overlay syncprov')]
    try:
        server = slapd.Slapd('mute', block.address(26), authority, scratch)
    finally:
        slapd.CONFIGURATION = made
    try:
        server.start()
        waiter = Waiter(server, 1500)
        assert waiter.result()[:2] == (0, '0') and waiter.asked()
    finally:
        server.stop()
