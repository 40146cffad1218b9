"""Groups: themselves, their members or both, on real directories."""

import base64
import json
import os
import re
import sqlite3
import subprocess

import ldap
import pytest
from test_collect import Editor, Source, random_edits
from test_collect_faults import Trap
from testbed import people, samba_forest, slapd
from testbed.reader import Reader, domain

POLICY = '''export: ( {{
	name = "staff";
	{settings}
	from = ( {chosen} );
	feed = "{feed}";
	max_delete_percent = 100;
}} );
'''
SECURITY, DISTRIBUTION = -2147483648, 0
GLOBAL, LOCAL, UNIVERSAL = 2, 4, 8
MAIL = re.compile(rb'SMTP:([a-z0-9.-]+)@')


class Chosen(Source):
    """A source whose entries of `from` the test writes."""

    def choose(self, *chosen, feed='auto', settings=''):
        with open(os.path.join(self.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(POLICY.format(
                feed=feed, settings=settings, chosen=',\n'.join(
                    '{ %s }' % text for text in chosen)))

    def policy(self, feed, proof='1d'):
        pass

    def exported(self, replica='own.db'):
        """First parts of the primary addresses."""
        with sqlite3.connect(os.path.join(self.home, replica)) as db:
            bodies = [row[0] for row in db.execute(
                'SELECT body FROM object WHERE deleted = 0')]
        return sorted(MAIL.search(body).group(1).decode()
                      for body in bodies)

    def seen(self, *more):
        self.read(*more)
        assert not self.truth_differs()
        return self.exported()

    def truth_differs(self):
        """The difference to what a reader of everything finds now."""
        with sqlite3.connect(os.path.join(self.home, 'own.db')) as db:
            own = db.execute('SELECT root FROM state').fetchone()[0].hex()
        if own == self.truth():
            return set()
        return set(self.exported()) ^ set(self.exported('truth.db')) or {'?'}


def user(forest, name, parent=None, **more):
    """A user by a short name; returns the DN."""
    entry = dict(people.person('north', 0), cn=name, displayName=name,
                 sAMAccountName=name, mailNickname=name,
                 mail=name + '@north.example',
                 proxyAddresses=['SMTP:%s@north.example' % name],
                 legacyExchangeDN=people.exchange_dn('north', name))
    entry.update(more)
    return forest.add('CN=%s,%s' % (name, parent or forest.staff),
                      people.ad_user(entry))


def group(forest, name, members=(), parent=None, mail=True, scope=UNIVERSAL,
          kind=DISTRIBUTION):
    entry = {'objectClass': 'group', 'cn': name, 'sAMAccountName': name,
             'groupType': str(kind + scope)}
    if mail:
        entry.update(mail=name + '@north.example', mailNickname=name,
                     displayName=name,
                     proxyAddresses=['SMTP:%s@north.example' % name])
    if members:
        entry['member'] = list(members)
    return forest.add('CN=%s,%s' % (name, parent or forest.staff), entry)


def members(forest, dn, add=(), drop=()):
    forest.link.modify_s(dn, [
        (verb, 'member', [m.encode() for m in names])
        for verb, names in ((ldap.MOD_ADD, add), (ldap.MOD_DELETE, drop))
        if names])


@pytest.fixture
def source(clean, tmp_path):
    forest = clean['north']
    made = Chosen(forest, tmp_path, 'auto')
    made.groups = made.unit('Groups', forest.base)
    yield made
    # People first: a group that is somebody's primary one cannot go.
    for dn in forest.search(
            forest.base, '(&(objectCategory=person)(mailNickname=*))',
            ['1.1']):
        forest.delete(dn)
    for place in (forest.staff, forest.partners):
        forest.empty(place)
    for place in (made.second, made.groups):
        forest.empty(place)
        forest.delete(place)


def test_members_itself_both(source):
    d = source.directory
    anna, bert = user(d, 'anna'), user(d, 'bert', source.second)
    user(d, 'carl', source.second)
    d.add('CN=noaddress,' + source.second, {
        'objectClass': 'contact', 'cn': 'noaddress'})
    sales = group(d, 'sales', [anna, bert, 'CN=noaddress,' + source.second],
                  source.groups)
    silent = group(d, 'silent', [bert], source.groups, mail=False)
    for words, want in (
            ('', ['sales']), ('groups = "itself";', ['sales']),
            ('groups = "members";', ['anna', 'bert']),
            ('groups = "both";', ['anna', 'bert', 'sales'])):
        source.choose('object = "%s"; %s' % (sales, words))
        assert source.seen() == want, words
        if words:
            source.choose('object = "%s";' % sales, settings=words)
            assert source.seen() == want, words
    # Without an address a group selects, and nothing more.
    for words in ('members', 'both'):
        source.choose('object = "%s"; groups = "%s";' % (silent, words))
        assert source.seen() == ['bert']
    source.choose('object = "%s"; groups = "itself";' % silent)
    assert source.seen() == []
    # One of several has a setting of its own; found twice counts once.
    source.choose('object = "%s"; groups = "itself";' % sales,
                  'object = "%s"; groups = "members";' % sales,
                  'object = "%s";' % silent, settings='groups = "both";')
    assert source.seen() == ['anna', 'bert', 'sales']
    # All groups of a unit, or of a search.
    source.choose('ou = "%s"; groups = "members";' % source.groups)
    assert source.seen() == ['anna', 'bert']
    source.choose('search = "s*l*"; kinds = [ "group" ]; groups = "both"; '
                  'exclude = [ "%s" ];' % source.second)
    assert source.seen() == ['anna', 'sales']


def test_all_scopes_and_types(source):
    d = source.directory
    for kind in (SECURITY, DISTRIBUTION):
        for scope in (GLOBAL, LOCAL, UNIVERSAL):
            name = 'p%d%d' % (kind < 0, scope)
            group(d, 'g' + name, [user(d, name, source.second)],
                  source.groups, scope=scope, kind=kind)
    source.choose('ou = "%s"; groups = "both";' % source.groups)
    names = ['p%d%d' % (k, s) for k in (0, 1) for s in (2, 4, 8)]
    assert source.seen() == sorted(names + ['g' + n for n in names])


def test_nested_cycles_depth(source):
    d = source.directory
    who = [user(d, 'n%d' % i, source.second) for i in range(5)]
    made = [group(d, 'g%d' % i, [who[i]], source.groups) for i in range(5)]
    for upper, lower in zip(made, made[1:] + made[:1]):
        members(d, upper, add=[lower])
    root = 'object = "%s"; ' % made[0]
    source.choose(root + 'groups = "members";')
    assert source.seen() == ['g1', 'n0']
    source.choose(root + 'groups = "members"; nested = true;')
    assert source.seen() == ['n0', 'n1', 'n2', 'n3', 'n4']
    source.choose(root + 'groups = "both"; nested = true;')
    assert source.seen() == sorted(
        ['g%d' % i for i in range(5)] + ['n%d' % i for i in range(5)])
    # At the limit a group is one object among the members.
    source.choose(root + 'groups = "members"; nested = true; depth = 2;')
    assert source.seen() == ['g2', 'n0', 'n1']
    assert 'deeper' in source.log
    source.choose(root + 'groups = "members"; nested = false;',
                  settings='nested = true;')
    assert source.seen() == ['g1', 'n0']
    # What lies in a subtree that is left out is not expanded.
    hole = source.unit('Hole', source.groups)
    d.rename(made[2], 'CN=g2', hole)
    source.choose(root + 'groups = "both"; nested = true; '
                  'exclude = [ "%s" ];' % hole)
    assert source.seen() == ['g0', 'g1', 'n0', 'n1']


def test_foreign_principals_and_computers(source):
    d = source.directory
    anna = user(d, 'anna')
    machine = d.add('CN=PC1,' + source.second, {
        'objectClass': 'computer', 'cn': 'PC1', 'sAMAccountName': 'PC1$',
        'userAccountControl': '4096', 'mail': 'pc1@north.example',
        'proxyAddresses': 'SMTP:pc1@north.example'})
    mixed = group(d, 'mixed', [anna, machine], source.groups, scope=LOCAL,
                  kind=SECURITY)
    members(d, mixed, add=[
        'CN=S-1-5-11,CN=ForeignSecurityPrincipals,' + d.base])
    source.choose('object = "%s"; groups = "members";' % mixed)
    assert source.seen() == ['anna']


def test_primary_group(source):
    d = source.directory
    first = group(d, 'first', [], source.groups, scope=GLOBAL, kind=SECURITY)
    outer = group(d, 'outer', [first], source.groups)
    anna, bert = user(d, 'anna'), user(d, 'bert', source.second)
    members(d, first, add=[anna, bert])
    rid = int.from_bytes(d.read(first, ['objectSid'])['objectSid'][0][-4:],
                         'little')
    source.choose('object = "%s"; groups = "members"; nested = true;' % outer)
    assert source.seen() == ['anna', 'bert']
    d.modify(anna, primaryGroupID=rid)
    assert anna.encode() not in d.read(first, ['member'])['member']
    assert source.seen() == ['anna', 'bert']
    members(d, first, drop=[bert])
    assert source.seen() == ['anna']
    d.modify(anna, primaryGroupID=513)
    assert anna.encode() in d.read(first, ['member'])['member']
    members(d, first, drop=[anna], add=[bert])
    assert source.seen() == ['bert']


@pytest.fixture(scope='module')
def crowd(scratch, block, authority):
    """A forest with a group of 3,200 users."""
    made = samba_forest.Samba('crowd', block.address(26), authority, scratch,
                              population=3200)
    try:
        made.start().wait()
        made.everyone = sorted(made.search(
            made.staff, '(objectClass=user)', ['1.1']))
        made.big = group(made, 'crowd', parent=made.partners)
        for i in range(0, 3200, 400):
            members(made, made.big, add=made.everyone[i:i + 400])
        yield made
    finally:
        made.stop()


def test_ranged_members(crowd, tmp_path):
    first = crowd.read(crowd.big, ['member;range=0-1499'])
    assert len(first['member;range=0-1499']) == 1500, 'it does not range'
    source = Chosen(crowd, tmp_path, 'auto')
    source.choose('object = "%s"; groups = "both";' % crowd.big)
    assert source.read()['count'] == 3201
    assert len(set(source.exported())) == 3201
    source.choose('object = "%s"; groups = "members"; nested = true;' %
                  crowd.big)
    assert source.read()['count'] == 3200
    one, two, three = crowd.everyone[7], crowd.everyone[9], crowd.everyone[-1]
    members(crowd, crowd.big, drop=[one, three])
    crowd.modify(two, description='other')
    said = source.read()
    assert not said['whole'] and said['feed'] == 'dirsync'
    assert (said['deleted'], said['modified'], said['count']) == (2, 1, 3198)
    assert not source.truth_differs()
    members(crowd, crowd.big, add=[one, three])


def test_memberships_of_a_crowd(crowd, tmp_path):
    """All of them are carried, less who is not exported."""
    from test_references import Stream
    source, gone = Chosen(crowd, tmp_path, 'auto'), crowd.everyone[20]
    source.choose('ou = "%s";' % crowd.staff, 'object = "%s";' % crowd.big)
    assert source.read()['count'] == 3201
    assert len(Stream(source).members('crowd')) == 3200
    members(crowd, crowd.big, drop=[crowd.everyone[7]])
    crowd.modify(gone, msExchHideFromAddressLists='TRUE')
    said = source.read()
    assert not said['whole'] and said['count'] == 3200
    assert len(Stream(source).members('crowd')) == 3198
    assert not source.truth_differs()
    members(crowd, crowd.big, add=[crowd.everyone[7]])
    crowd.modify(gone, msExchHideFromAddressLists=None)
    source.read()
    assert len(Stream(source).members('crowd')) == 3200


def test_a_server_that_dies_within_a_group(crowd, tmp_path):
    """Half a list of members is none: nobody is deleted."""
    source, one = Chosen(crowd, tmp_path, 'auto'), crowd.everyone[11]
    trap = Trap((crowd.behind, 636), (crowd.address, 636),
                lambda: crowd.child.kill())
    conf = os.path.join(source.home, 'spoke.conf')
    with open(conf) as f:
        text = f.read()
    with open(conf, 'w') as out:
        out.write(text.replace(crowd.uri, 'ldaps://' + crowd.behind))
    source.choose('object = "%s"; groups = "members";' % crowd.big)
    try:
        assert source.read()['count'] == 3200
        trap.set(None)
        crowd.modify(one, title='Counted')
        assert source.read()['modified'] == 1
        # Of a reading of one object nearly all is the list.
        whole = trap.passed
        assert whole > 100 * 3200
        for share in (0.3, 0.8):
            crowd.modify(one, title='At %s' % share)
            trap.set(int(whole * share))
            assert crowd.behind in source.read(expect=1)
            assert trap.limit is None       # it was sprung
            crowd.child.wait()
            crowd.child = None
            crowd.close()
            crowd.start()
            crowd.wait()
        trap.set(None)
        said = source.read()
        assert (said['modified'], said['deleted']) == (1, 0)
        assert said['count'] == 3200
    finally:
        trap.close()


def dynamic(forest, name, filter, parent, base=None, **more):
    entry = {'objectClass': 'msExchDynamicDistributionList', 'cn': name,
             'displayName': name, 'mail': name + '@north.example',
             'proxyAddresses': 'SMTP:%s@north.example' % name,
             'mailNickname': name}
    if filter:
        entry['msExchDynamicDLFilter'] = filter
    if base:
        entry['msExchDynamicDLBaseDN'] = base
    entry.update(more)
    return forest.add('CN=%s,%s' % (name, parent), entry)


def test_dynamic_groups(source):
    d = source.directory
    for name, place, town in (('anna', d.staff, 'Umeå'),
                              ('bert', source.second, 'Umeå'),
                              ('carl', source.second, 'Oslo')):
        user(d, name, place, l=town)
    inner = group(d, 'inner', ['CN=carl,' + source.second], source.groups,
                  mail=False)
    everywhere = dynamic(d, 'wide', '(&(objectClass=user)(l=Umeå))',
                         source.groups)
    below = dynamic(d, 'below', '(l=*)', source.groups, source.second)
    nested = dynamic(d, 'nested', '(sAMAccountName=inner)', source.groups)
    for dn, words, want in (
            (everywhere, 'itself', ['wide']),
            (everywhere, 'members', ['anna', 'bert']),
            (everywhere, 'both', ['anna', 'bert', 'wide']),
            (below, 'members', ['bert', 'carl']),
            (nested, 'members', [])):
        source.choose('object = "%s"; groups = "%s";' % (dn, words))
        assert source.seen() == want, dn
    source.choose('object = "%s"; groups = "members"; nested = true;'
                  % nested)
    assert source.seen() == ['carl']
    assert inner


def test_a_refused_filter_is_the_groups_error(source):
    """Nobody goes because a filter broke; the others are read as ever."""
    d = source.directory
    anna, bert = (user(d, name, source.second, l='Oslo')
                  for name in ('anna', 'bert'))
    user(d, 'carl', source.second)
    group(d, 'fixed', ['CN=carl,' + source.second], source.groups)
    broken = dynamic(d, 'broken', '(l=Oslo)', source.groups)
    source.choose('ou = "%s"; groups = "members";' % source.groups)
    assert source.seen() == ['anna', 'bert', 'carl']
    for change in ({'msExchDynamicDLFilter': '(l=Oslo'},
                   {'msExchDynamicDLFilter': None},
                   {'msExchDynamicDLFilter': '(l=Oslo)',
                    'msExchDynamicDLBaseDN': d.partners}):
        d.modify(broken, **change)
        if 'msExchDynamicDLBaseDN' in change:
            # A base that is gone: AD keeps no link to it.
            gone = source.unit('Gone', d.base)
            d.modify(broken, msExchDynamicDLBaseDN=gone)
            d.delete(gone)
        d.modify(bert, title='T%d' % len(change))
        for how in ((), ('full',)):
            said = source.read(*how)
            assert source.exported() == ['anna', 'bert', 'carl'], source.log
            assert 'refuses' in source.log and 'CN=broken' in source.log
            assert said['count'] == 3
    d.modify(broken, msExchDynamicDLFilter='(cn=anna)',
             msExchDynamicDLBaseDN=None)
    assert source.seen() == ['anna', 'carl']
    assert 'refuses' not in source.log and anna


def test_public_folders(source):
    d = source.directory
    place = d.add('CN=Microsoft Exchange System Objects,' + d.base, {
        'objectClass': 'container'})
    try:
        for name, more in (('news', {}), ('silent', {
                'mail': None, 'proxyAddresses': None}),
                ('secret', {'msExchHideFromAddressLists': 'TRUE'})):
            entry = {'objectClass': 'publicFolder', 'cn': name,
                     'displayName': name, 'mailNickname': name,
                     'mail': name + '@north.example',
                     'proxyAddresses': 'SMTP:%s@north.example' % name}
            entry.update(more)
            d.add('CN=%s,%s' % (name, place), {
                k: v for k, v in entry.items() if v is not None})
        folder = group(d, 'readers', ['CN=news,' + place], source.groups)
        for text in ('ou = "%s";' % place,
                     'search = "*"; kinds = [ "public-folder" ];',
                     'object = "CN=news,%s";' % place,
                     'object = "%s"; groups = "members";' % folder):
            source.choose(text)
            assert source.seen() == ['news'], text
        d.modify('CN=news,' + place, displayName='News of the day')
        said = source.read()
        assert said['modified'] == 1 and not said['whole']
    finally:
        d.empty(place)
        d.delete(place)


def test_groups_that_become_empty_stop_the_run(source):
    """What an account sees that may not read the members any more."""
    d = source.directory
    anna = user(d, 'anna')
    sales = group(d, 'sales', [anna], source.groups)
    source.choose('object = "%s"; groups = "both";' % sales)
    assert source.seen() == ['anna', 'sales']
    members(d, sales, drop=[anna])
    for how in ((), ('full',)):
        assert '--allow-empty' in source.read(*how, expect=1)
    members(d, sales, add=[anna])
    assert source.seen() == ['anna', 'sales']


@pytest.fixture
def east(openldap, tmp_path):
    made = Chosen(openldap, tmp_path, 'auto')
    made.groups = made.unit('Groups', openldap.base)
    return made


def inet(server, name, parent=None):
    return server.add('cn=%s,%s' % (name, parent or server.staff), {
        'objectClass': 'inetOrgPerson', 'cn': name, 'sn': name,
        'mail': name + '@east.example'})


def names_group(server, name, members, parent, unique=False, mail=True):
    attribute = 'uniqueMember' if unique else 'member'
    entry = {'objectClass': ['groupOfUniqueNames' if unique
                             else 'groupOfNames'],
             'cn': name, attribute: list(members)}
    if mail:
        entry['objectClass'].append('extensibleObject')
        entry['mail'] = name + '@east.example'
    return server.add('cn=%s,%s' % (name, parent), entry)


def test_openldap(east):
    d = east.directory
    anna, bert, carl = (inet(d, name, place) for name, place in (
        ('anna', d.staff), ('bert', east.second), ('carl', east.second)))
    dora = inet(d, 'dora#1', east.second)
    d.modify(dora, mail='dora@east.example')
    plain = names_group(d, 'plain', [
        anna, 'CN=Bert, ' + east.second.upper(),
        'cn=nobody,' + d.base, 'cn=else,dc=elsewhere'], east.groups)
    unique = names_group(d, 'unique', [
        carl + "#'0101'B", dora, plain], east.groups, unique=True, mail=False)
    members(d, plain, add=[unique])
    for words, want in (('itself', ['plain']), ('members', ['anna', 'bert']),
                        ('both', ['anna', 'bert', 'plain'])):
        east.choose('object = "%s"; groups = "%s";' % (plain, words))
        assert east.seen() == want, words
    east.choose('object = "%s"; groups = "members";' % unique)
    assert east.seen() == ['carl', 'dora', 'plain']
    east.choose('object = "%s"; groups = "members"; nested = true;' % unique)
    assert east.seen() == ['anna', 'bert', 'carl', 'dora']
    east.choose('search = "uni*"; kinds = [ "group" ]; groups = "both"; '
                'nested = true; exclude = [ "%s" ];' % east.second)
    assert east.seen() == ['anna', 'plain']
    # A group with an address is one object more of its unit.
    east.choose('ou = "%s";' % east.groups)
    assert east.seen() == ['plain']


def test_openldap_large_group(east):
    d = east.directory
    names = ['m%d' % i for i in range(3200)]
    d.load(('cn=%s,%s' % (name, east.second), {
        'objectClass': 'inetOrgPerson', 'cn': name, 'sn': name,
        'mail': name + '@east.example'}) for name in names)
    big = names_group(d, 'big', ['cn=%s,%s' % (name, east.second)
                                 for name in names], east.groups)
    east.choose('object = "%s"; groups = "members"; nested = true;' % big)
    assert east.read()['count'] == 3200
    assert east.exported() == sorted(names)
    members(d, big, drop=['cn=m7,' + east.second])
    said = east.read()
    assert (said['whole'], said['deleted'], said['count']) == (0, 1, 3199)
    assert not east.truth_differs()


@pytest.fixture(scope='module')
def uplands(scratch, block, authority):
    """A server of another naming context."""
    server = slapd.Slapd('moors', block.address(19), authority, scratch)
    try:
        yield server.start()
    finally:
        server.stop()


def test_members_on_other_servers(east, uplands, tmp_path):
    """By whole reading, and when one enters, changes, or leaves there."""
    d = east.directory
    anna, bert = inet(d, 'anna'), inet(uplands, 'bert')
    carl = inet(uplands, 'carl')
    far = names_group(uplands, 'far', [carl, anna], uplands.staff, mail=False)
    near = names_group(d, 'near', [anna, bert, far], east.groups)
    reader = Reader(tmp_path, d, more=domain(uplands))
    reader.policy('object = "%s"; groups = "members"; nested = true;' % near)
    first = reader.read()
    assert first['count'] == 3 and first['whole']
    for change, deltas in (
            (lambda: uplands.modify(carl, title='Other'), (0, 1, 0)),
            (lambda: members(uplands, far, add=[bert], drop=[carl]),
             (0, 0, 1)),
            (lambda: members(d, near, add=[carl], drop=[bert]), (1, 0, 0)),
            (lambda: uplands.delete(carl), (0, 0, 1))):
        change()
        said = reader.read()
        assert not said['whole'], reader.log
        assert (said['added'], said['modified'], said['deleted']) == deltas
        assert said['root'] == reader.truth()
    # Without that server there is no list, and so no shorter one.
    uplands.stop()
    try:
        members(d, near, add=['cn=x,' + d.base])
        assert uplands.base in reader.read(expect=1)
        assert uplands.base in reader.read('full', expect=1)
    finally:
        uplands.start()
    assert reader.read()['count'] == 2


# Only from within may an entry be given the id that it has elsewhere.
MIRROR = """
import base64, json, sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(sys.argv[2], session_info=system_session(), lp=lp)
entry = {name: [base64.b64decode(v) for v in values]
         for name, values in json.load(sys.stdin).items()}
db.add(entry | {'dn': sys.argv[3]}, controls=['relax:0'])
"""


def in_catalogue(family, dn):
    """The child's entry in the root's catalogue, with the id that it has."""
    parent, root = dn.split(',', 1)[1], family.root
    if not root.search(family.child.base, '(distinguishedName=%s)' % parent,
                       ['1.1']):
        root.add(parent, {'objectClass': 'organizationalUnit'})
    entry = family.child.read(dn, ['objectGUID', 'cn', 'displayName', 'mail',
                                   'mailNickname', 'proxyAddresses'])
    entry['objectClass'] = [b'contact']
    entry['targetAddress'] = entry['proxyAddresses']
    subprocess.run(
        ['/usr/bin/python3', '-c', MIRROR, root.home + '/smb.conf',
         root.home + '/private/sam.ldb', dn], check=True, text=True,
        input=json.dumps({name: [base64.b64encode(v).decode() for v in values]
                          for name, values in entry.items()}))


def test_members_in_another_domain(family, tmp_path):
    root, child = family.root, family.child
    for one in (root, child):
        one.empty(one.staff)
    far, near = user(child, 'far'), user(root, 'near')
    in_catalogue(family, far)
    sales = group(root, 'sales', [far, near])
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy('object = "%s"; groups = "members";' % sales)
    first = reader.read()
    assert first['count'] == 2 and first['whole'], reader.log
    child.modify(far, title='Other')
    said = reader.read()
    assert said['modified'] == 1 and not said['whole'], reader.log
    assert said['root'] == reader.truth()
    members(root, sales, drop=[far])
    said = reader.read()
    assert said['deleted'] == 1 and not said['whole'], reader.log
    # A dynamic group asks the whole forest, as Exchange does.
    asks = dynamic(root, 'asks', '(|(cn=far)(cn=near))', root.staff)
    reader.policy('object = "%s"; groups = "members";' % asks)
    assert reader.read()['count'] == 2
    members(root, sales, add=[far])
    reader.policy('object = "%s"; groups = "members";' % sales)
    # A domain that is not looked into: what the catalogue has of it.
    reader.write(domain(child).replace('context', 'enabled = false; context'))
    first = reader.read()
    assert first['count'] == 2, reader.log
    assert reader.read()['unchanged']
    root.modify(far, displayName='Far Away')
    said = reader.read()
    assert said['modified'] == 1 and not said['whole'], reader.log
    assert said['root'] == reader.truth()
    members(root, sales, drop=[far])
    assert reader.read()['deleted'] == 1


class GroupEditor(Editor):
    """Edits of who belongs to which group, among the others."""

    EDITS = Editor.EDITS + 2 * [
        'join', 'join', 'leave', 'nest', 'part', 'move_group', 'ask', 'delete',
        'rename_group'] + ['primary', 'primary']

    def settle_residents(self):
        super().settle_residents()
        d, g = self.directory, self.source.groups
        self.attribute, self.groups, self.asked = 'member', [], []
        # Out of all places: only groups bring them.
        self.far = self.source.unit('Far', d.base)
        for i in range(3):
            self.number += 1
            self.create('Resident %d' % self.number, self.far)
        stay = sorted(d.search(self.far, '(cn=Resident*)', ['1.1']))
        for i in range(5):
            name, parent = 'group%d' % i, d.staff if i == 4 else g
            if self.ad:
                self.groups.append(group(
                    d, name, [stay[i % 3]], parent, mail=i % 2,
                    scope=UNIVERSAL, kind=SECURITY))
            else:
                self.groups.append(names_group(
                    d, name, [stay[i % 3]], parent, mail=i % 2))
        if self.ad:
            self.asked = [dynamic(d, 'asked', '(|(title=T1*)(cn=Resident*))', g)]
        self.source.choose(*self.chosen(), feed=self.source.feed)

    def chosen(self):
        d = self.directory
        return (
            'ou = "%s"; exclude = [ "%s" ]; groups = "both"; nested = true;'
            % (d.staff, self.source.hole),
            'ou = "%s";' % self.source.second,
            'object = "%s"; groups = "members"; nested = true; depth = 2;'
            % self.groups[0],
            'object = "%s"; groups = "both";' % self.groups[1]) + tuple(
                'object = "%s"; groups = "members";' % dn
                for dn in self.asked)

    def units(self):
        return super().units() + [self.far]

    def one(self):
        return self.rng.choice(self.groups)

    def change(self, dn, verb, value):
        try:
            self.directory.link.modify_s(
                dn, [(verb, 'member', [value.encode()])])
        except (ldap.TYPE_OR_VALUE_EXISTS, ldap.ALREADY_EXISTS,
                ldap.NO_SUCH_ATTRIBUTE, ldap.UNWILLING_TO_PERFORM,
                ldap.OBJECT_CLASS_VIOLATION):
            pass

    def members(self, dn):
        return sorted(value.decode() for value in self.directory.read(
            dn, ['member']).get('member', []))

    def everybody(self):
        found = self.people() + list(self.directory.search(
            self.far, '(&(objectClass=person)(!(cn=Resident*)))', ['1.1']))
        return sorted(found)

    def join(self):
        self.change(self.one(), ldap.MOD_ADD, self.rng.choice(
            self.everybody()))

    def leave(self):
        dn = self.one()
        mine = [m for m in self.members(dn) if 'Resident' not in m]
        if mine:
            self.change(dn, ldap.MOD_DELETE, self.rng.choice(mine))

    def nest(self):
        self.change(self.one(), ldap.MOD_ADD, self.one())

    def part(self):
        self.change(self.one(), ldap.MOD_DELETE, self.one())

    def change_dn(self, dn, rdn, parent=None):
        self.directory.rename(dn, rdn, parent)
        new = '%s,%s' % (rdn, parent or dn.split(',', 1)[1])
        self.groups = [new if old == dn else old for old in self.groups]
        if not self.ad:     # nobody keeps references there
            for other in self.groups:
                if dn.lower() in [m.lower() for m in self.members(other)]:
                    self.change(other, ldap.MOD_ADD, new)
                    self.change(other, ldap.MOD_DELETE, dn)

    def move_group(self):
        dn = self.groups[self.rng.randrange(2, 5)]
        self.change_dn(dn, dn.split(',')[0], self.rng.choice(
            [self.directory.staff, self.source.hole, self.source.groups]))

    def rename_group(self):
        dn = self.groups[self.rng.randrange(2, 5)]
        self.number += 1
        self.change_dn(dn, '%s=renamed%d' % (dn[:2], self.number))

    def ask(self):
        """What the dynamic group asks for, or who answers it."""
        if not self.asked:
            return
        if self.rng.randrange(3):
            self.directory.modify(self.rng.choice(self.everybody()),
                                  title='T%d' % self.rng.randrange(9))
        else:
            self.directory.modify(
                self.asked[0], msExchDynamicDLFilter=self.rng.choice(
                    ['(|(title=T%d*)(cn=Resident*))' % i
                     for i in range(9)] + ['(broken']))

    def primary(self):
        if not self.ad:
            return
        dn, who = self.one(), self.rng.choice(self.everybody())
        old = self.directory.read(who, ['primaryGroupID'])
        if old['primaryGroupID'] != [b'513']:
            self.directory.modify(who, primaryGroupID=513)
            return
        self.change(dn, ldap.MOD_ADD, who)
        sid = self.directory.read(dn, ['objectSid'])['objectSid'][0]
        self.directory.modify(
            who, primaryGroupID=int.from_bytes(sid[-4:], 'little'))


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_random_edits_of_active_directory(source, feed):
    source.feed = feed
    try:
        random_edits(source, feed, make=GroupEditor)
    finally:
        source.directory.delete(source.unit('Far', source.directory.base))


def test_random_edits_of_openldap(east):
    east.feed = 'auto'
    try:
        random_edits(east, 'syncrepl', make=GroupEditor)
    finally:
        east.directory.delete(east.unit('Far', east.directory.base))
