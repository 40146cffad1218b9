"""What an export holds back (exit status 3), and what a release lets through:
just that, once, after a look at it."""

import pytest

from testbed.star import POLICIES, staff_mails

FEW = 'feed = "%s"; max_delete_percent = 10; max_delete_count = 2;'


def published(spoke, star):
    row, = star.hub.json('streams')['streams']
    own, = spoke.json('status')['own_streams']
    return row['version'], row['count'], own, spoke.box('out').names()


@pytest.fixture
def source(star, slapd_factory):
    """source(count, extra): a spoke that published so many people."""

    def build(count, extra=''):
        server = slapd_factory('source')
        server.populate(count)
        spoke = star.join('source', server, ['west.example'],
                          export_extra=extra)
        spoke.export()
        return spoke

    return build


def people(spoke):
    return sorted(spoke.ldap.search(spoke.ldap.staff, '(mail=*)', ['1.1']))


@pytest.mark.parametrize('feed', ['auto', 'full'])
def test_a_release_is_for_one_version(star, source, feed):
    spoke = source(20, FEW % feed)
    assert 'nothing is held' in spoke.do('release', 'staff', expect=1).text
    before = published(spoke, star)
    gone = {dn: spoke.ldap.read(dn, ['mail'])['mail'][0].decode()
            for dn in people(spoke)[:4]}
    first, second, third, fourth = sorted(gone)
    for dn in (first, second, third):
        spoke.ldap.delete(dn)
    said = spoke.do('run', 'staff', expect=3).text
    for words in ('3 of 20 objects', 'max_delete_percent', 'nothing is sent',
                  'galspoke release --list staff'):
        assert words in said, said
    spoke.do('run', 'staff', expect=3)
    # a look changes nothing
    said = spoke.json('release', '--list', 'staff')
    assert not said['released'] and said['deletions'] == 3
    assert {row['mail'] for row in said['deleted']} == {
        gone[dn] for dn in (first, second, third)}
    said = spoke.do('release', '--list', 'staff').out
    assert all('<%s>' % gone[dn] in said for dn in (first, second, third))
    spoke.do('run', 'staff', expect=3)
    assert published(spoke, star) == before
    # another version than the one released
    said = spoke.do('release', 'staff').out
    assert gone[first] in said and gone[fourth] not in said
    spoke.ldap.delete(fourth)
    assert '4 of 20' in spoke.do('run', 'staff', expect=3).text
    spoke.do('run', 'staff', expect=3)
    assert published(spoke, star) == before
    # what else changes does not matter
    assert spoke.json('release', 'staff')['deletions'] == 4
    spoke.ldap.modify(people(spoke)[0], title='Changed')
    spoke.ldap.add_person(300)
    said = spoke.export().out
    assert '1 added, 1 modified, 4 deleted' in said, said
    assert published(spoke, star)[1] == 17 == len(staff_mails(spoke.ldap))
    # once
    assert 'nothing is held' in spoke.do('release', 'staff', expect=1).text
    for dn in people(spoke)[:3]:
        spoke.ldap.delete(dn)
    spoke.do('run', 'staff', expect=3)


@pytest.mark.parametrize('percent,count', [(50, 2), (10, 10)])
def test_both_thresholds_are_to_be_passed(star, source, percent, count):
    """Neither many of very many, nor a great part of a few."""
    spoke = source(20, 'max_delete_percent = %d; max_delete_count = %d;' % (
        percent, count))
    for dn in people(spoke)[:5]:
        spoke.ldap.delete(dn)
    assert '5 deleted' in spoke.export().out
    for dn in people(spoke)[:11]:
        spoke.ldap.delete(dn)
    said = spoke.do('run', 'staff', expect=3).text
    assert '11 of 15' in said, said


def test_what_comes_back_is_held_no_more(star, source):
    spoke = source(20, FEW % 'auto')
    before = published(spoke, star)
    moved = [dn.split(',')[0] for dn in people(spoke)[:5]]
    for rdn in moved:
        spoke.ldap.rename('%s,%s' % (rdn, spoke.ldap.staff), rdn,
                          spoke.ldap.base)
    assert '5 of 20' in spoke.do('run', 'staff', expect=3).text
    spoke.do('release', 'staff')
    for rdn in moved:
        spoke.ldap.rename('%s,%s' % (rdn, spoke.ldap.base), rdn,
                          spoke.ldap.staff)
    spoke.export()
    assert published(spoke, star) == before
    # neither the hold nor its release outlives that
    for dn in people(spoke)[:5]:
        spoke.ldap.delete(dn)
    spoke.do('run', 'staff', expect=3)
    assert published(spoke, star) == before


def test_minimum(star, source):
    spoke = source(12, 'minimum = 10;')
    before = published(spoke, star)
    for dn in people(spoke)[:3]:
        spoke.ldap.delete(dn)
    said = spoke.do('run', 'staff', expect=3).text
    assert 'only 9 objects' in said and 'minimum' in said, said
    assert published(spoke, star) == before
    said = spoke.do('release', 'staff').out
    assert '9 objects instead of 12; 3 would be deleted' in said, said
    assert 'held by minimum\n' in said, said
    spoke.export()
    assert published(spoke, star)[1] == 9
    spoke.ldap.delete(people(spoke)[0])
    assert 'only 8 objects' in spoke.do('run', 'staff', expect=3).text
    assert published(spoke, star)[1] == 9


def test_minimum_at_the_first_run(star, slapd_factory):
    server = slapd_factory('source')
    server.populate(5)
    spoke = star.join('source', server, ['west.example'],
                      export_extra='minimum = 10;')
    said = spoke.do('run', 'staff', expect=3).text
    assert 'only 5 objects' in said and 'minimum' in said, said
    assert star.hub.json('streams')['streams'] == []
    assert '5 objects instead of 0' in spoke.do('release', 'staff').out
    server.add_person(60)
    assert 'only 6 objects' in spoke.do('run', 'staff', expect=3).text
    spoke.do('release', 'staff')
    spoke.export()
    assert published(spoke, star)[1] == 6


HIDES = '''access to filter=(title=Hide*) attrs=entryUUID by * none
'''


def test_errors(star, source):
    """Entries whose ids the account may not read: which of the published
    ones they are nobody knows, so none is taken for deleted."""
    spoke = source(12, 'max_errors = 2; feed = "full";')
    before = published(spoke, star)
    for number, dn in enumerate(people(spoke)[:3]):
        spoke.ldap.modify(dn, title='Hide %d' % number)
    spoke.ldap.restart(access=HIDES)
    said = spoke.do('run', 'staff', '--full', expect=3).text
    assert '3 entries cannot be read, more than 2 (max_errors)' in said, said
    assert 'no entryUUID; let the account read it' in said, said
    assert published(spoke, star) == before
    spoke.ldap.modify(people(spoke)[0], title='Seen')
    said = spoke.do('run', 'staff', '--full', expect=3).text
    assert '2 entries cannot be read' in said and 'without an id' in said, said
    assert published(spoke, star) == before
    said = spoke.do('release', 'staff').out
    assert '2 would be deleted' in said, said
    spoke.do('run', 'staff', '--full')
    assert published(spoke, star)[1] == 10
    spoke.ldap.restart()
    spoke.do('run', 'staff', '--full')
    assert published(spoke, star)[1] == 12


UNREAD = 'access to dn.base="%s" attrs=member by * none\n'
GROUPS = 'from = ( {{ ou = "%s"; groups = "members"; }} );'


@pytest.mark.parametrize('feed', ['auto', 'full'])
def test_members_of_a_group_that_is_not_readable(star, slapd_factory, feed):
    server = slapd_factory('source')
    server.populate(6)
    groups = server.add('ou=Groups,' + server.base, {
        'objectClass': 'organizationalUnit'})
    everybody = sorted(server.search(server.staff, '(mail=*)', ['1.1']))
    first, second = (server.add('cn=%s,%s' % (name, groups), {
        'objectClass': 'groupOfNames', 'cn': name, 'member': some})
        for name, some in (('first', everybody[:2]),
                           ('second', everybody[2:])))
    spoke = star.join(
        'source', server, ['west.example'], policies=POLICIES.replace(
            'from = ( {{ ou = "{staff}"; scope = "subtree"; }} );',
            GROUPS % groups), export_extra='feed = "%s";' % feed)
    spoke.export()
    before = published(spoke, star)
    assert before[1] == 6
    server.restart(access=UNREAD % first)
    server.modify(everybody[5], title='Changed')
    for _ in range(2):
        said = spoke.do('run', 'staff', expect=3).text
        for words in ('"cn=first,', 'lost 2 of 2 members', 'nothing is sent',
                      'let the account read member', 'galspoke release'):
            assert words in said, said
        assert published(spoke, star) == before
    said = spoke.do('release', '--list', 'staff').out
    assert 'a list of members cannot be believed; 2 would be deleted' in said
    # a release is for this list, whatever becomes of others
    spoke.do('release', 'staff')
    server.restart(access=UNREAD % second)
    server.modify(everybody[5], title='Changed again')
    said = spoke.do('run', 'staff', expect=3).text
    assert '"cn=second,' in said and 'lost 4 of 4 members' in said, said
    server.restart(access=UNREAD % first)
    server.modify(everybody[5], title='And again')
    spoke.do('run', 'staff', expect=3)
    spoke.do('release', 'staff')
    assert '2 deleted' in spoke.export().out
    assert published(spoke, star)[1] == 4
    server.restart()
    server.modify(everybody[5], title='At last')
    assert '2 added' in spoke.export().out
    assert published(spoke, star)[1] == 6


NO_TELEPHONE = 'access to attrs=telephoneNumber by * none\n'


def test_attributes_that_are_lost(star, source):
    """What the account may no longer read does not leave the targets; what
    somebody released does, once."""
    spoke = source(4, 'feed = "full";')
    before = published(spoke, star)
    spoke.ldap.restart(access=NO_TELEPHONE)
    said = spoke.do('run', 'staff', '--full', expect=3).text
    for words in ('telephoneNumber would be lost by 4 of 4 objects',
                  'nobody wrote to the entries', spoke.ldap.service_dn,
                  'galspoke release --list staff'):
        assert words in said, said
    assert published(spoke, star) == before
    said = spoke.json('release', '--list', 'staff')
    assert said['deletions'] == 0 and said['cleared'] == [
        {'attribute': 'telephoneNumber', 'lost': 4, 'shrunk': 0, 'before': 4,
         'unwritten': 4}]
    spoke.do('run', 'staff', '--full', expect=3)
    # others than those released
    assert 'telephoneNumber would be lost by 4' in spoke.do(
        'release', 'staff').out
    spoke.ldap.restart(access=NO_TELEPHONE + 'access to attrs=title '
                       'by * none\n')
    said = spoke.do('run', 'staff', '--full', expect=3).text
    assert 'telephoneNumber' in said and 'title' in said, said
    assert published(spoke, star) == before
    spoke.ldap.restart(access=NO_TELEPHONE)
    spoke.do('run', 'staff', '--full', expect=3)
    spoke.do('release', 'staff')
    # what else changes does not matter
    spoke.ldap.modify(people(spoke)[0], title='Changed')
    assert '0 added, 4 modified' in spoke.do('run', 'staff', '--full').out
    assert published(spoke, star)[0] > before[0]
    assert 'nothing is held' in spoke.do('release', 'staff', expect=1).text
    # back, and gone again
    spoke.ldap.restart()
    assert '4 modified' in spoke.do('run', 'staff', '--full').out
    spoke.ldap.restart(access=NO_TELEPHONE)
    spoke.do('run', 'staff', '--full', expect=3)


def test_deletions_of_those_who_are_there(star, source):
    """Far fewer than the guards that count would hold."""
    spoke = source(6)
    before = published(spoke, star)
    one, two = people(spoke)[:2]
    spoke.ldap.restart(access='access to dn.exact="%s" attrs=mail by * none\n'
                       'access to dn.exact="%s" by * none\n' % (one, two))
    said = spoke.do('run', 'staff', '--full', expect=3).text
    for words in ('1 of those who would be deleted are there', one,
                  '1 of those who would be deleted cannot be seen any more',
                  'galspoke release --list staff'):
        assert words in said, said
    assert published(spoke, star) == before
    said = spoke.do('release', '--list', 'staff').out
    assert 'some of these may not be gone' in said, said
    spoke.do('release', 'staff')
    assert '2 deleted' in spoke.do('run', 'staff', '--full').out
    assert published(spoke, star)[1] == 4
    spoke.ldap.restart()
    assert '2 added' in spoke.do('run', 'staff', '--full').out


def test_what_waits_is_not_sent_once_the_policy_is_another(star, source):
    """Not even while the new one is held: it may have been made narrower."""
    spoke = source(4)
    before = published(spoke, star)
    spoke.ldap.add_person(300, title='Secret')
    spoke.do('run', 'staff', '--no-wait')
    waiting, = spoke.box('out').names()
    spoke.write_policies(export_extra='deny = [ "title" ]; minimum = 10;')
    spoke.do('run', 'staff', '--no-wait', expect=3)
    assert not spoke.box('out').names()
    # as it was, it is what has to be said
    spoke.write_policies()
    said = spoke.do('run', 'staff', '--no-wait').out
    assert spoke.box('out').names() == [waiting] and 'sent again' in said
    # nor when the directory is not there to ask
    spoke.write_policies(export_extra='deny = [ "title" ];')
    spoke.ldap.stop()
    spoke.do('run', 'staff', '--no-wait', expect=1)
    assert not spoke.box('out').names()
    spoke.ldap.start()
    assert published(spoke, star)[:2] == before[:2]
    spoke.export()
    assert published(spoke, star)[1] == 5


def test_a_policy_that_went(star, source):
    """What it published stays with others until the hub ends it; status
    tells of it at the source, and streams at the hub."""
    spoke = source(3)
    assert 'no export policy' not in spoke.do('status').out
    spoke.write_policies(POLICIES.replace('name = "staff"', 'name = "all"')
                         .replace('{name}/staff', '{name}/all'))
    said = spoke.do('status').out
    assert 'no export policy has that name now' in said, said
    assert 'galhub end SOURCE/staff' in said, said
    rows = spoke.json('status')['own_streams']
    assert [(row['stream'], row['policy']) for row in rows] == [
        ('all', True), ('staff', False)]
    said = spoke.do('check', expect=(0, 4)).out
    assert 'galhub end SOURCE/staff' in said, said
    row, = star.hub.json('streams')['streams']
    assert not row['ended']
    star.hub.do('end', 'SOURCE/staff')
    row, = star.hub.json('streams')['streams']
    assert row['ended']
    assert 'ended' in star.hub.do('streams').out
    spoke.do('run', 'partners')
    assert 'the hub ended it' in spoke.do('status').out
    assert 'galhub end' not in spoke.do('check', expect=(0, 4)).out
