"""What was touched and what is: reading either way gives the same bytes."""

import json
import os
import random
import subprocess
import time

import ldap
import pytest
from testbed import people

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROBE = os.path.join(os.environ.get('GALRELAY_BUILD',
                                    os.path.join(ROOT, 'build')),
                     'tests', 'forest', 'spoke_collect_probe')
CONF = '''name = "NORTH";
state = "{home}";
directory = {{
	uri = [ "{uri}" ];
	ca = "{ca}";
	user = "{who}";
	password_file = "{secret}";
}};
'''
POLICY = '''export: ( {{
	name = "staff";
	from = ( {{ ou = "{staff}"; exclude = [ "{secret}" ]; }},
		 {{ ou = "{second}"; }} );
	feed = "{feed}";
	proof = "{proof}";
	max_delete_percent = 100;
	disabled = false;
	closed = "leave-out";
	{more}
}} );
'''


RESIDENT = 'Resident '


class Source:
    """An export policy over two units, one of them with a hole."""

    def __init__(self, directory, tmp_path, feed, who=None, secret=None,
                 more=''):
        self.directory, self.home = directory, str(tmp_path)
        self.more = more
        self.second = self.unit('Second', directory.base)
        self.inner = self.unit('Inner', directory.staff)
        self.hole = self.unit('Secret', directory.staff)
        password = os.path.join(self.home, 'password')
        directory.write_secret(password, secret or
                               directory.service_password)
        self.conf = os.path.join(self.home, 'spoke.conf')
        with open(self.conf, 'w') as out:
            out.write(CONF.format(
                home=self.home, uri=directory.uri, ca=directory.ca,
                who=who or directory.service_dn, secret=password))
        os.makedirs(os.path.join(self.home, 'policies.d'), exist_ok=True)
        self.policy(feed)
        self.now = int(time.time() * 1000)

    def policy(self, feed, proof='1d'):
        with open(os.path.join(self.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(POLICY.format(
                staff=self.directory.staff, second=self.second,
                secret=self.hole, feed=feed, proof=proof, more=self.more))

    def unit(self, name, parent):
        dn = 'OU=%s,%s' % (name, parent)
        try:
            self.directory.add(dn, {'objectClass': 'organizationalUnit'})
        except ldap.ALREADY_EXISTS:
            self.directory.empty(dn)
        return dn

    def read(self, *more, replica='own.db', expect=0):
        self.now += 1000
        done = subprocess.run(
            [PROBE, self.conf, 'staff', os.path.join(self.home, replica),
             str(self.now), *more], capture_output=True, text=True,
            timeout=60)
        self.log = done.stderr
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout) if expect == 0 else done.stdout

    def try_read(self):
        """A reading that may fail: None then."""
        try:
            return self.read()
        except AssertionError:
            return None

    def truth(self):
        """The root that a reader of everything finds now."""
        path = os.path.join(self.home, 'truth.db')
        if os.path.exists(path):
            os.unlink(path)
        return self.read('full', replica='truth.db')['root']


class Editor:
    """Random edits of a live directory."""

    def __init__(self, source, rng):
        self.source, self.rng = source, rng
        self.directory, self.number = source.directory, 1000
        self.ad = hasattr(source.directory, 'add_group')

    def settle_residents(self):
        """One person in each place whom no edit touches: a place that becomes
        empty is held, which is not what is tried here."""
        for place in (self.directory.staff, self.source.second):
            self.number += 1
            self.create(RESIDENT + str(self.number), place)

    def people(self):
        found = []
        for unit in (self.directory.staff, self.source.second):
            found += self.directory.search(
                unit, '(objectClass=person)', ['1.1'])
        return sorted(dn for dn in found if not dn.startswith('CN=' + RESIDENT)
                      and not dn.startswith('cn=' + RESIDENT))

    def units(self):
        found = []
        for unit in (self.directory.staff, self.source.second):
            found += self.directory.search(
                unit, '(objectClass=organizationalUnit)', ['1.1'])
        return sorted(found) + [self.directory.partners]

    def pick(self):
        return self.rng.choice(self.people())

    def place(self):
        return self.rng.choice(self.units())

    def create(self, name, place):
        entry = people.person('north', self.number)
        entry['cn'] = name or '%s %d' % (entry['cn'], self.number)
        entry = (people.ad_user if self.ad else people.inet_person)(entry)
        self.directory.add('CN=%s,%s' % (ldap.dn.escape_dn_chars(entry['cn']),
                                         place), entry)

    def add(self):
        self.number += 1
        self.create(None, self.place())

    def modify(self):
        self.directory.modify(
            self.pick(), title='T%d' % self.rng.randrange(10 ** 9))

    def no_mail(self):
        drop = {'mail': None}
        if self.ad:
            drop['proxyAddresses'] = None
        self.directory.modify(self.pick(), **drop)

    def rename(self):
        self.number += 1
        self.directory.rename(self.pick(), 'CN=Renamed %d' % self.number)

    def move(self):
        dn = self.pick()
        self.directory.rename(dn, ldap.dn.dn2str(
            ldap.dn.str2dn(dn)[:1]), self.place())

    def delete(self):
        self.directory.delete(self.pick())

    def mark(self):
        if self.ad:
            self.directory.modify(
                self.pick(), extensionAttribute7=self.rng.choice(
                    ['NoGALsync', 'Other']))

    def shut(self):
        """Disabled, closed to outsiders, or open again."""
        if self.ad:
            self.directory.modify(
                self.pick(),
                userAccountControl=self.rng.choice(['544', '546']),
                msExchRequireAuthToSendTo=self.rng.choice(['TRUE', None]))

    def move_unit(self):
        """A unit with what is in it, into or out of the hole."""
        dn = self.source.inner
        parent = self.rng.choice([
            self.directory.staff, self.source.hole, self.source.second,
            self.directory.partners])
        self.number += 1
        rdn = 'OU=Inner %d' % self.number
        self.directory.rename(dn, rdn, parent)
        self.source.inner = rdn + ',' + parent

    EDITS = ['add'] * 4 + ['modify'] * 4 + [
        'no_mail', 'rename', 'move', 'move', 'move', 'delete', 'mark',
        'shut', 'shut', 'move_unit']

    def step(self):
        name = self.rng.choice(self.EDITS)
        if len(self.people()) < 6:
            name = 'add'
        try:
            getattr(self, name)()
        except (ldap.ALREADY_EXISTS, ldap.NOT_ALLOWED_ON_NONLEAF):
            pass
        return name


def random_edits(source, feed, rounds=6, edits=8, make=Editor):
    seed = int(os.environ.get('SEED', random.randrange(10 ** 6)))
    print('SEED=%d' % seed)
    rng = random.Random(seed)
    editor = make(source, rng)
    editor.settle_residents()
    for _ in range(12):
        editor.add()
    first = source.read()
    assert first['whole'] and 'first reading' in source.log
    assert first['root'] == source.truth()
    for _ in range(rounds):
        done = [editor.step() for _ in range(rng.randrange(1, edits))]
        seen = source.read()
        assert seen['root'] == source.truth(), (seed, done, source.log)
        assert not seen['whole'], (seed, done, source.log)
        # Some edits change nothing.
        assert seen['feed'] == feed or seen['unchanged'], (seed, done)
    last = source.read('full')
    assert last['whole'] and not last['defect'], source.log
    assert source.read()['unchanged'] == 1


@pytest.mark.parametrize('feed,who', [
    ('dirsync', 'admin'), ('dirsync', 'service'), ('usn', 'admin'),
    ('usn', 'service')])
def test_random_edits_of_active_directory(clean, tmp_path, feed, who):
    forest = clean['north']
    source = Source(forest, tmp_path, feed, *(
        (forest.admin_dn, forest.admin_password) if who == 'admin' else ()))
    random_edits(source, feed)


def test_random_edits_of_openldap(openldap, tmp_path):
    random_edits(Source(openldap, tmp_path, 'auto'), 'syncrepl')


def test_a_defect_of_the_feed_is_found_and_mended(openldap, tmp_path):
    """What no feed can tell: an object comes into sight by other rights. Here
    the cookie is set ahead of a change by hand."""
    source = Source(openldap, tmp_path, 'syncrepl')
    openldap.populate(10)
    first = source.read()
    assert first['count'] == 10 and first['whole']
    dn = openldap.add_person(77)
    replica = os.path.join(source.home, 'own.db')
    import sqlite3
    with sqlite3.connect(replica) as db:
        keys = {k: v for k, v in db.execute(
            "SELECT key, value FROM note WHERE key LIKE 'feed:%'")}
    assert keys
    other = source.read(replica='other.db')
    assert other['count'] == 11
    with sqlite3.connect(os.path.join(source.home, 'other.db')) as db:
        ahead = dict(db.execute(
            "SELECT key, value FROM note WHERE key LIKE 'feed:%'"))
    with sqlite3.connect(replica) as db:
        for key, value in ahead.items():
            db.execute('UPDATE note SET value = ? WHERE key = ?',
                       (value, key))
    missed = source.read()
    assert not missed['whole'] and missed['count'] == 10
    proved = source.read('full')
    assert proved['whole'] and proved['defect'] and proved['count'] == 11
    assert 'missed something' in source.log
    assert openldap.read(dn)


DAY = 24 * 3600 * 1000


def test_everything_is_read_once_a_day(openldap, tmp_path):
    """Unless the policy says otherwise, also when nothing was written."""
    source = Source(openldap, tmp_path, 'auto')
    openldap.populate(5)
    assert source.read()['whole']
    openldap.add_person(77)
    assert not source.read()['whole']
    source.now += DAY - 4000
    assert source.read()['unchanged']
    source.now += 1000
    seen = source.read()
    assert seen['whole'] and not seen['unchanged'] and not seen['defect']
    assert source.read()['unchanged']
    source.policy('auto', proof='3d')
    source.now += 3 * DAY - 3000
    assert source.read()['unchanged']
    openldap.add_person(78)
    source.now += DAY
    seen = source.read()
    assert seen['whole'] and seen['added'] == 1 and not seen['defect']
    assert 'missed' not in source.log


def test_full_is_read_whole_and_a_wrong_feed_is_an_error(openldap, tmp_path):
    source = Source(openldap, tmp_path, 'full')
    openldap.populate(5)
    assert source.read()['feed'] == 'full'
    openldap.add_person(77)
    seen = source.read()
    assert seen['whole'] and seen['feed'] == 'full' and seen['count'] == 6
    source.policy('usn')
    openldap.add_person(78)
    assert 'use auto' in source.read(expect=1)
    # a change of feeds is a first reading
    source.policy('syncrepl')
    seen = source.read()
    assert seen['whole'] and seen['count'] == 7
    openldap.add_person(79)
    assert not source.read()['whole']
    # proof each time
    source.policy('auto', proof='0s')
    openldap.add_person(80)
    seen = source.read()
    assert seen['whole'] and not seen['defect'] and seen['count'] == 9
