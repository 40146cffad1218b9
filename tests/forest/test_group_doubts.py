"""Groups whose list of members cannot be read any more: nobody is deleted
because of that, and whoever leaves or goes still does."""

import pytest
from group_source import (GLOBAL, SECURITY, Chosen, group, inet, members,
                          names_group, source, user)
from testbed import slapd

MEMBER = 'bf9679c0-0de6-11d0-a285-00aa003049e2'
MEMBER_OF = 'bf967991-0de6-11d0-a285-00aa003049e2'
assert source       # a fixture


def deny(forest, dn, attribute, whom=None):
    forest.grant(dn, '(OD;;RP;%s;;%s)' % (
        attribute, forest.sid_of(whom or forest.service_dn)))


def held(made, words, count):
    """By what was touched and by all; then the replica is as it was."""
    was = made.exported()
    for how in ((), ('full',)):
        said = made.read(*how, expect=1)
        for word in words + ('nothing is sent', 'galspoke release'):
            assert word in said, said
        assert made.exported() == was and len(was) == count
        assert 'lost members who still belong to it' in made.log


@pytest.fixture
def staffed(source):
    """Groups sales (anna, bert) and other (carl), out of which only the
    members go."""
    d = source.directory
    anna, bert, carl = (user(d, name, source.second)
                        for name in ('anna', 'bert', 'carl'))
    source.sales = group(d, 'sales', [anna, bert], source.groups)
    source.other = group(d, 'other', [carl], source.groups)
    source.choose('ou = "%s"; groups = "members";' % source.groups)
    assert source.seen() == ['anna', 'bert', 'carl']
    return source


def test_one_group_of_several_is_not_readable(staffed):
    d, anna = staffed.directory, 'CN=anna,' + staffed.second
    before = d.access(staffed.sales)
    # the entry of the group is written to by that, and of a member too
    deny(d, staffed.sales, MEMBER)
    d.modify(anna, title='Touched')
    held(staffed, ('CN=sales', 'lost 2 of 2 members',
                   '2 of 2 looked at say that they belong to it'), 3)
    # meanwhile somebody leaves another one
    members(d, staffed.other, drop=['CN=carl,' + staffed.second],
            add=[anna])
    held(staffed, ('CN=sales', '2 of 2'), 3)
    d.set_access(staffed.sales, before)
    said = staffed.read()
    assert (said['added'], said['deleted']) == (0, 1), said
    assert staffed.exported() == ['anna', 'bert']
    assert not staffed.truth_differs()


def test_neither_end_of_the_link_is_readable(staffed):
    """Then that nobody wrote to it tells: here the account itself became a
    member of those who may not read."""
    d = staffed.directory
    anna, bert = ('CN=%s,%s' % (name, staffed.second)
                  for name in ('anna', 'bert'))
    barred = group(d, 'barred', [], d.partners, scope=GLOBAL, kind=SECURITY,
                   mail=False)
    for dn, attribute in ((staffed.sales, MEMBER), (anna, MEMBER_OF),
                          (bert, MEMBER_OF)):
        deny(d, dn, attribute, barred)
    assert staffed.seen() == ['anna', 'bert', 'carl']
    members(d, barred, add=[d.service_dn])
    held(staffed, ('CN=sales', 'lost 2 of 2 members', '2 of 2 looked at '
                   'exist, and nobody wrote to them or the group'), 3)
    members(d, barred, drop=[d.service_dn])
    assert staffed.read()['deleted'] == 0


def test_a_group_that_is_not_to_be_seen(staffed):
    """The whole entry, with groups that go for good beside it."""
    d = staffed.directory
    before = d.access(staffed.sales)
    third = group(d, 'third', [user(d, 'dora')], staffed.groups)
    fourth = group(d, 'fourth', [user(d, 'emil')], staffed.groups)
    assert staffed.seen() == ['anna', 'bert', 'carl', 'dora', 'emil']
    d.grant(staffed.sales, '(D;;RPLCLORC;;;%s)' % d.sid_of(d.service_dn))
    d.delete(third)
    d.rename(fourth, 'CN=fourth', d.partners)
    for how in ((), ('full',)):
        said = staffed.read(*how, expect=1)
        for word in ('group "CN=sales,', 'is not to be seen any more, '
                     '2 of 2 looked at say that they belong to it: let',
                     'galspoke release'):
            assert word in said, said
        assert 'third' not in staffed.log and 'fourth' not in staffed.log
    d.set_access(staffed.sales, before)
    assert staffed.seen() == ['anna', 'bert', 'carl']
    d.delete(staffed.sales)
    assert staffed.seen() == ['carl']


def test_who_leaves_goes(staffed):
    """Out of the group, with the group, or with his own entry."""
    d = staffed.directory
    anna, bert, carl = ('CN=%s,%s' % (name, staffed.second)
                        for name in ('anna', 'bert', 'carl'))
    members(d, staffed.sales, drop=[anna])
    assert staffed.seen() == ['bert', 'carl']
    members(d, staffed.sales, add=[anna])
    assert staffed.seen() == ['anna', 'bert', 'carl']
    d.delete(bert)      # which writes nothing to the group
    assert staffed.seen() == ['anna', 'carl']
    members(d, staffed.other, drop=[carl])
    assert staffed.seen('full') == ['anna']
    d.modify(anna, primaryGroupID=513)
    group(d, 'third', [carl], staffed.groups)
    d.delete(staffed.sales)
    assert staffed.seen() == ['carl']


def test_a_name_that_needs_escapes(source):
    d = source.directory
    name = 'Sales (\u00fc*),'.replace(',', '\\,')
    odd = d.add('CN=%s,%s' % (name, source.groups), {
        'objectClass': 'group', 'sAMAccountName': 'odd',
        'groupType': '8', 'member': user(d, 'anna')})
    group(d, 'other', [user(d, 'bert')], source.groups)
    source.choose('ou = "%s"; groups = "members";' % source.groups)
    assert source.seen() == ['anna', 'bert']
    deny(d, odd, MEMBER)
    held(source, ('lost 1 of 1 members',), 2)


@pytest.fixture
def east(block, authority, tmp_path):
    """A slapd whose groups may also be computed."""
    server = slapd.Slapd(
        'lists', block.address(27), authority, str(tmp_path),
        extra='include /etc/ldap/schema/dyngroup.schema\n'
              'moduleload dynlist',
        overlays='overlay dynlist\n'
                 'dynlist-attrset extensibleObject memberURL member\n')
    try:
        made = Chosen(server.start(), tmp_path, 'auto')
        made.groups = made.unit('Groups', server.base)
        yield made
    finally:
        server.stop()


UNREAD = 'access to dn.base="%s" attrs=member by * none\n'
ONE_VALUE = ('access to dn.base="%s" attrs=member '
             'val.regex="^cn=anna,.*" by * none\n')


def test_openldap(east):
    d = east.directory
    anna, bert, carl = (inet(d, name, east.second)
                        for name in ('anna', 'bert', 'carl'))
    sales = names_group(d, 'sales', [anna, bert], east.groups, mail=False)
    other = names_group(d, 'other', [carl], east.groups, mail=False)
    east.choose('ou = "%s"; groups = "members";' % east.groups)
    assert east.seen() == ['anna', 'bert', 'carl']
    for rule, lost in ((UNREAD, '2'), (ONE_VALUE, '1')):
        d.restart(access=rule % sales)
        d.modify(carl, title='For ' + lost)
        held(east, ('cn=sales', 'lost %s of 2 members' % lost,
                    '%s of %s looked at exist, and nobody wrote' % (
                        lost, lost), 'uniqueMember'), 3)
        d.restart()
        said = east.read()
        assert (said['deleted'], said['count']) == (0, 3), said
    # who leaves goes, as does who is deleted, or has another name now
    members(d, other, add=[anna, bert], drop=[carl])
    assert east.seen() == ['anna', 'bert']
    d.delete(bert)
    assert east.seen() == ['anna']
    d.rename(anna, 'cn=annabel')
    members(d, other, add=[carl])
    assert east.seen() == ['carl']


def test_openldap_a_list_that_is_computed(east):
    """Its members write to it without touching it."""
    d = east.directory
    anna, bert, carl = (inet(d, name, east.second)
                        for name in ('anna', 'bert', 'carl'))
    for dn in (anna, bert, carl):
        d.modify(dn, title='T')
    asks = d.add('cn=asks,' + east.groups, {
        'objectClass': ['groupOfNames', 'extensibleObject'],
        'cn': 'asks', 'member': carl,
        'memberURL': 'ldap:///%s??sub?(title=T)' % east.second})
    east.choose('object = "%s"; groups = "members";' % asks, feed='full')
    assert east.seen() == ['anna', 'bert', 'carl']
    stamp = d.read(asks, ['entryCSN'])
    d.modify(bert, title='U')
    assert east.seen() == ['anna', 'carl']
    assert d.read(asks, ['entryCSN']) == stamp
