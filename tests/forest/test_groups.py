"""Groups: themselves, their members or both, on real directories."""

import os

import pytest
from group_source import (DISTRIBUTION, GLOBAL, LOCAL, SECURITY, UNIVERSAL,
                          Chosen, dynamic, east, group, inet, members,
                          names_group, source, user)
from test_collect_faults import Trap
from test_feed import Feed, guid
from testbed import samba_forest

assert source and east  # fixtures


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


def test_a_feed_does_not_send_the_crowd(crowd):
    """Of a large group DirSync sends the members that changed."""
    trap = Trap((crowd.behind, 636), (crowd.address, 636), None)
    crowd.delete(crowd.add_contact('Gone', 'gone@crowd.example'))
    feed = Feed(crowd, 'dirsync', crowd.admin_dn, crowd.admin_password,
                'ldaps://' + crowd.behind)
    one = crowd.everyone[13]
    try:
        assert feed.ask() == 'full'
        feed.ask()
        trap.set(None)
        members(crowd, crowd.big, drop=[one])
        assert feed.ask() == 'touched'
        assert guid(crowd, crowd.big) in feed.changed()
        assert 0 < trap.passed < 3200 * 20, trap.passed
    finally:
        trap.close()
        members(crowd, crowd.big, add=[one])


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
    # At run time: who answers it, and what it asks, without reading all.
    source.choose('object = "%s"; groups = "members";' % everywhere)
    assert source.seen() == ['anna', 'bert']
    for dn, change, want in (
            ('CN=carl,' + source.second, {'l': 'Umeå'},
             ['anna', 'bert', 'carl']),
            (everywhere, {'msExchDynamicDLFilter': '(|(cn=anna)(cn=carl))'},
             ['anna', 'carl']),
            (everywhere, {'msExchDynamicDLFilter': '(|(cn=bert)(cn=carl))'},
             ['bert', 'carl'])):
        d.modify(dn, **change)
        assert not source.read()['whole'], source.log
        assert source.exported() == want
        assert not source.truth_differs()


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
