"""What looks like an accident to the people who are shared, and must not be
one: places that are made anew, entries that resemble each other, servers that
lag behind, rights that are withdrawn in part."""

import ldap
import pytest
from testbed import people
from testbed.reader import Reader, ou, uris


@pytest.fixture
def east(openldap):
    openldap.empty(openldap.staff)
    openldap.populate(6)
    return openldap


def unit(server, name, parent=None):
    dn = 'OU=%s,%s' % (name, parent or server.staff)
    server.add(dn, {'objectClass': 'organizationalUnit'})
    return dn


def person(server, number, parent, **more):
    entry = people.inet_person(people.person('west', number))
    entry.update(more)
    return server.add('CN=%s,%s' % (
        ldap.dn.escape_dn_chars(entry['cn']), parent), entry)


def test_an_excluded_place_that_is_made_anew_stays_excluded(east, tmp_path):
    secret = unit(east, 'Secret')
    person(east, 100, secret)
    reader = Reader(tmp_path, east)
    reader.policy('ou = "%s"; exclude = [ "%s" ];' % (east.staff, secret))
    assert reader.read()['count'] == 6
    east.empty(secret)
    east.delete(secret)
    assert reader.read()['count'] == 6
    unit(east, 'Secret')
    person(east, 101, secret)
    assert reader.read()['count'] == 6
    assert reader.read('full')['count'] == 6
    # the one of now is followed when it is renamed
    east.rename(secret, 'OU=Silent')
    east.add_person(102)
    assert reader.read()['count'] == 7
    assert reader.read('full')['count'] == 7


def test_names_as_the_server_takes_them(east, tmp_path):
    """Blanks and capitals of a place's name as somebody typed them, and
    people whose names have several parts: nobody leaves an excluded place,
    and what was touched is found where a whole reading finds it."""
    office = unit(east, 'B\u00fcro \u1ea4n')
    secret = unit(east, 'Streng  Geheim', office)
    reader = Reader(tmp_path, east)
    reader.policy('ou = "OU=b\u00dcRO  \u1ea5n,%s"; '
                  'exclude = [ "ou=streng geheim,OU=B\u00fcro \u1ea5n,%s" ];'
                  % (east.staff, east.staff))
    person(east, 120, office)
    person(east, 121, secret)
    assert reader.read()['count'] == 1
    entry = people.inet_person(people.person('west', 122))
    for place in (office, secret):
        east.add('cn=%s+sn=%s+givenName=%s,%s' % (
            entry['cn'], entry['sn'], entry['givenName'], place), entry)
    person(east, 123, office)
    person(east, 124, secret)
    touched = reader.read()
    assert not touched['whole'] and touched['count'] == 3, touched
    assert touched['root'] == reader.truth()


@pytest.mark.parametrize('first,second', [
    ('ou = "{0}"; scope = "one";', 'ou = "{0}";'),
    ('search = "Nobody*"; kinds = [ "group" ];',
     'search = "Nobody*"; kinds = [ "user" ];')])
def test_entries_that_differ_a_little_are_watched_apart(
        east, tmp_path, first, second):
    """One finds nobody and another of the same name somebody: that is no place
    that became empty."""
    outer = unit(east, 'Outer')
    inner = unit(east, 'Inner', outer)
    person(east, 110, inner, cn='Nobody 1')
    person(east, 111, inner, cn='Nobody 2')
    reader = Reader(tmp_path, east)
    for places in ((first, second), (second, first)):
        reader.policy(*(place.format(outer) for place in places))
        for _ in range(2):
            assert reader.read('full')['count'] == 2
        # and it is said when the other one became empty
        for dn in east.search(inner, '(objectClass=person)', ['1.1']):
            east.rename(dn, dn.split(',')[0].replace('Nobody', 'Somebody'),
                        east.partners)
        reader.refused('found nothing')
        for dn in east.search(east.partners, '(objectClass=person)', ['1.1']):
            east.rename(dn, dn.split(',')[0].replace('Somebody', 'Nobody'),
                        inner)
