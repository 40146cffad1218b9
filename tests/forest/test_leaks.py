"""Who and what must stay in its forest, by ways that are seldom walked: on
real directories."""

import shutil

import ldap
import pytest
from testbed import people, slapd
from testbed.reader import Reader, ou, uris
from test_collect_faults import Trap


def person(server, number, parent, **more):
    entry = people.inet_person(people.person('west', number))
    entry.update(more)
    return server.add('CN=%s,%s' % (
        ldap.dn.escape_dn_chars(entry['cn']), parent), entry)


def unit(server, name, parent=None):
    return server.add('OU=%s,%s' % (name, parent or server.staff),
                      {'objectClass': 'organizationalUnit'})


@pytest.fixture
def east(openldap):
    openldap.populate(3)
    return openldap


def staff(server):
    return sorted(server.search(server.staff, '(mail=*)', ['1.1']))


def test_a_mark_with_options(east, tmp_path):
    """A server gives an attribute with a language to who asks for it."""
    reader = Reader(tmp_path, east)
    reader.policy(ou(east))
    assert reader.read()['count'] == 3
    first, second, _ = staff(east)
    for dn, name, value in (
            (first, 'businessCategory;lang-en', b' nogalSYNC '),
            (second, 'labeledURI;lang-en', b'galrelay:aa:NORTH:bb')):
        east.link.modify_s(dn, [(ldap.MOD_ADD, 'businessCategory', b'Tools'),
                                (ldap.MOD_ADD, name, value)])
    assert reader.read()['count'] == 1
    reader.policy(ou(east), more='foreign_marks = [ "carLicense=other*" ];')
    east.link.modify_s(staff(east)[2], [
        (ldap.MOD_ADD, 'carLicense;lang-de', b'Other Product')])
    assert reader.read('empty')['count'] == 0


def test_our_contacts_are_known_under_another_provenance(east, tmp_path):
    """Somebody set another attribute for it: what was made before is ours, and
    what bears it is at once."""
    person(east, 200, east.staff,
           labeledURI='galrelay:00112233:NORTH:44556677')
    reader = Reader(tmp_path, east)
    reader.policy(ou(east))
    assert reader.read()['count'] == 3
    person(east, 201, east.staff, carLicense='galrelay:00112233:NORTH:8899')
    assert reader.read()['count'] == 4
    reader.write(more='provenance = "carLicense";')
    assert reader.read()['count'] == 3


def test_an_excluded_place_is_renamed_while_it_is_read(east, tmp_path):
    """What is in it has another name then than the one that was looked up."""
    secret = unit(east, 'Secret')
    for number in range(100, 160):
        person(east, number, secret, description='x' * 4000)
    where = [secret]

    def rename():
        new = 'OU=Silent' if where[0] == secret else 'OU=Secret'
        east.rename(where[0], new)
        where[0] = '%s,%s' % (new, east.staff)

    trap = Trap((east.behind, 636), (east.address, 636), rename)
    reader = Reader(tmp_path, east, uris('ldaps://' + east.behind),
                    more='page_size = 10;')
    reader.policy('ou = "%s"; exclude = [ "%s" ];' % (east.staff, secret),
                  feed='full')
    try:
        assert reader.read()['count'] == 3
        trap.set(None)
        assert reader.read('full')['count'] == 3
        leaving = trap.passed
        refused = 0
        for share in (0.5, 0.6, 0.7, 0.8, 0.9):
            trap.set(int(leaving * share))
            try:
                # the names of then may have been read to their end
                assert reader.read('full')['count'] == 3
            except AssertionError as error:
                assert 'while it was read' in str(error), error
                assert 'ou=s' in str(error).lower(), error
                refused += 1
            assert trap.limit is None
            trap.set(None)
            assert reader.read('full')['count'] == 3
        assert refused > 0
    finally:
        trap.close()
        if where[0] != secret:
            rename()


def test_patterns_deny_references_too(clean, tmp_path):
    forest = clean['west']
    forest.populate(2)
    boss, other = staff(forest)
    forest.modify(other, manager=boss)
    forest.add_group('All', 'all@west.example', [boss, other])
    reader = Reader(tmp_path, forest)
    reader.policy(ou(forest), more='manager = true;')
    plain = reader.read()['root']
    roots = {plain}
    for deny in ('mana*', 'memb*', 'mana*", "memb*'):
        reader.policy(ou(forest), more='manager = true; deny = [ "%s" ];'
                      % deny)
        roots.add(reader.read()['root'])
    assert len(roots) == 4
    reader.policy(ou(forest), more='memberships = false;')
    assert reader.read()['root'] in roots


def test_settings_are_named_when_a_place_is_none(east, tmp_path):
    reader = Reader(tmp_path, east)
    for place, words in (
            ('ou = "%s"; exclude = [ "OU=Secret" ];' % east.staff,
             'exclude "OU=Secret" in policy staff: '),
            ('ou = "OU=Staff,DC=elsewhere";',
             'OU OU=Staff,DC=elsewhere in from of policy staff: ')):
        reader.policy(place)
        said = reader.read(expect=1)
        assert words in said and 'naming context' in said, said


SECRETS = '''attributetype ( 1.3.6.1.4.1.99999.1 NAME 'shopPassword'
 SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 EQUALITY caseExactMatch )
attributetype ( 1.3.6.1.4.1.99999.2 NAME ( 'shopHatch' 'shopDoorPwd' )
 SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 EQUALITY caseExactMatch )
attributetype ( 1.3.6.1.4.1.99999.3 NAME 'shopSecretary'
 SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 EQUALITY caseExactMatch )
objectclass ( 1.3.6.1.4.1.99999.4 NAME 'shopKeeper' SUP top AUXILIARY
 MAY ( shopPassword $ shopHatch $ shopSecretary ) )
'''


@pytest.fixture
def shop(scratch, block, authority):
    server = slapd.Slapd('shop', block.address(25), authority, scratch,
                         extra=SECRETS)
    yield server.start()
    server.stop()
    shutil.rmtree(server.home)


def test_credentials_of_a_schema_of_one_s_own(shop, tmp_path):
    person(shop, 1, shop.staff, shopPassword='Hidden', shopHatch='Open',
           shopSecretary='Shown', objectClass=['inetOrgPerson', 'shopKeeper'])
    reader = Reader(tmp_path, shop)
    for name in ('shopPassword', 'SHOPpassWord', 'shopDoorPwd'):
        reader.policy(ou(shop), more='allow = [ "%s" ];' % name)
        assert 'credentials' in reader.read(expect=1)
    reader.policy(ou(shop), more='allow = [ "shopP*" ];')
    assert 'unknown attribute shopP*' in reader.read(expect=1)
    reader.policy(ou(shop), more='allow = [ "shop*" ];')
    one, = reader.read('dump')['objects']
    assert one['attributes']['shopSecretary'] == [b'Shown'.hex()]
    assert b'Hidden'.hex() not in str(one), one
