"""Rights to read that are withdrawn in part: entries stay, and what they no
longer show must never be taken for gone, nor those for shown who are hidden."""

import types
import uuid

import pytest
from testbed import net, slapd
from testbed.reader import Reader, ou

NO_TELEPHONE = 'access to attrs=telephoneNumber by * none\n'
NO_MARK = 'access to attrs=businessCategory by * none\n'
FULL = {'feed': 'full'}


@pytest.fixture
def server(tmp_path, block, authority):
    """A slapd whose access lists a test may change."""
    address = block.address(33)
    key, cert = authority.issue('ldap.rights.example', address,
                                net.relay_address(address))
    made = slapd.Slapd('rights', address, authority, str(tmp_path),
                       domain='rights.example', key=key, cert=cert).start()
    yield made
    made.stop()


@pytest.fixture
def small(server):
    """Fewer people than any count could judge."""
    server.populate(4)
    return server


def people(server):
    return sorted(server.search(server.staff, '(mail=*)', ['1.1']))


def reading(tmp_path, server, **more):
    reader = Reader(tmp_path, server)
    reader.policy(ou(server), **more)
    return reader, reader.read()


def test_an_attribute_that_cannot_be_read_any_more(small, tmp_path):
    reader, first = reading(tmp_path, small)
    small.restart(access=NO_TELEPHONE)
    reader.refused('telephoneNumber would be lost by 4 of 4 objects',
                   'nobody wrote to the entries', small.service_dn,
                   'galspoke release staff')
    assert reader.read('full', expect=1)
    small.restart()
    assert reader.read('full')['root'] == first['root']


def test_stamps_that_cannot_be_read(small, tmp_path):
    """Then it is odd that nobody has it any more."""
    stamps = 'access to attrs=entryCSN by * none\n'
    reader, _ = reading(tmp_path, small, feed='full')
    small.restart(access=stamps)
    assert reader.read('full')['modified'] == 0
    small.restart(access=stamps + NO_TELEPHONE)
    said = reader.refused('telephoneNumber would be lost by 4 of 4 objects')
    assert 'nobody wrote' not in said


def test_one_who_lost_it(small, tmp_path):
    """In one place, of one person, whom nobody wrote to."""
    reader, _ = reading(tmp_path, small)
    one = people(small)[0]
    small.restart(access='access to dn.exact="%s" attrs=title by * none\n'
                  % one)
    reader.refused('title would be lost by 1 of 4 objects')
    small.restart()
    # who was written to is believed
    small.modify(one, title=None)
    seen = reader.read()
    assert seen['modified'] == 1 and seen['root'] == reader.truth()
    assert reader.read('full')['unchanged'] == 0


def test_values_that_cannot_be_read_any_more(server, tmp_path):
    """Some of an attribute's values."""
    server.add_person(1, mail=['a@west.example', 'b@west.example'])
    server.add_person(2)
    reader, first = reading(tmp_path, server)
    server.restart(access='access to attrs=mail val.regex="^b@" by * none\n')
    reader.refused('proxyAddresses would be lost in part by 1 of 2 objects')
    server.restart()
    assert reader.read('full')['root'] == first['root']


def test_everybody_loses_an_address(server, tmp_path):
    """Each of them is written to; one address is always left."""
    three = [server.add_person(number, mail=['%d@west.example' % number,
                                             '%d@old.example' % number])
             for number in (1, 2, 3)]
    reader, _ = reading(tmp_path, server)
    for dn in three[:2]:
        server.modify(dn, mail=server.read(dn, ['mail'])['mail'][0].decode())
    assert reader.read()['modified'] == 2
    for dn in three[:2]:
        server.modify(dn, mail=['%s@west.example' % dn[3], '%s@old.example'
                                % dn[3]])
    reader.read()
    for dn in three:
        server.modify(dn, mail=server.read(dn, ['mail'])['mail'][0].decode())
    said = reader.read(expect=1)
    assert 'proxyAddresses would be lost in part by 3 of 3' in said, said


def test_what_was_touched_betrays_the_rest(small, tmp_path):
    """Nobody wrote to the others: they are looked at, before what was written
    goes out without what can no longer be seen."""
    reader, first = reading(tmp_path, small)
    small.restart(access=NO_TELEPHONE)
    small.modify(people(small)[0], title='Touched')
    said = reader.read(expect=1)
    assert 'telephoneNumber would be lost by 4 of 4' in said, said
    assert 'read whole' in reader.log
    small.restart()
    seen = reader.read()
    assert (seen['whole'], seen['modified']) == (0, 1)
    assert seen['root'] != first['root']


def test_a_policy_that_changed_is_no_accident(small, tmp_path):
    reader, first = reading(tmp_path, small)
    reader.policy(ou(small), more='deny = [ "telephoneNumber" ];')
    assert reader.read()['modified'] == 4
    reader.policy(ou(small))
    assert reader.read()['root'] == first['root']
    # another place is no reason to believe it
    small.restart(access=NO_TELEPHONE)
    reader.policy(ou(small), 'ou = "%s";' % small.partners)
    reader.refused('telephoneNumber would be lost by 4 of 4')
    reader.policy(ou(small), more='attributes = "minimal"; '
                  'deny = [ "telephoneNumber" ];')
    assert reader.read()['modified'] == 4


@pytest.mark.parametrize('feed', ['auto', 'full'])
def test_many_who_are_written_to(server, tmp_path, feed):
    """A script that clears what everybody has is asked about, a few who lose
    something are not."""
    server.populate(14)
    reader, _ = reading(tmp_path, server, feed=feed)
    everybody = people(server)
    for dn in everybody[:10]:
        server.modify(dn, title=None)
    assert reader.read()['modified'] == 10
    for dn in everybody[:11]:
        server.modify(dn, l=None)
    said = reader.read(expect=1)
    assert 'l would be lost by 11 of 14 objects' in said, said
    assert 'nobody wrote' not in said and 'max_clear_percent' in said
    reader.policy(ou(server), feed=feed, more='max_clear_percent = 80;')
    assert reader.read()['modified'] == 11


def test_a_manager_who_cannot_be_seen(server, tmp_path):
    slapd_manager = 'access to attrs=manager by * none\n'
    server.populate(5)
    boss, *others = people(server)
    for dn in others:
        server.modify(dn, manager=boss)
    reader, first = reading(tmp_path, server, more='manager = true;')
    server.restart(access=slapd_manager)
    reader.refused('manager would be lost by 4 of 4 objects')
    server.restart()
    assert reader.read('full')['root'] == first['root']
    # one who leaves is nobody's manager any more, and one may lose another
    server.modify(others[0], manager=others[1])
    assert reader.read()['modified'] == 1
    server.modify(others[0], manager=None)
    server.delete(boss)
    seen = reader.read()
    assert (seen['deleted'], seen['modified']) == (1, 4)


# --- who seems gone ---

def elsewhere(server, *numbers):
    """People in a unit of their own, beside the others."""
    other = 'OU=Other,' + server.staff
    server.add(other, {'objectClass': 'organizationalUnit'})
    for number in numbers:
        dn = server.add_person(number)
        server.rename(dn, dn.split(',')[0], other)
    return other


@pytest.mark.parametrize('attribute,place', [
    ('mail', None), ('objectClass', None), ('mail', 'search = "*";'),
    ('title', 'filter = "(title=*)";')])
def test_what_chooses_them_cannot_be_read_in_one_place(
        small, tmp_path, attribute, place):
    """Fewer than a guard that counts would hold."""
    other = elsewhere(small, 50, 51)
    reader = Reader(tmp_path, small)
    reader.policy(place or ou(small))
    assert reader.read()['count'] == 6
    small.restart(access='access to dn.subtree="%s" attrs=%s by * none\n' % (
        other, attribute))
    reader.refused('2 of those who would be deleted are there',
                   'nobody wrote to them', 'Other', small.service_dn,
                   'galspoke release staff')
    # nor when one of them is written to for another reason
    small.modify(sorted(small.search(other, '(mail=*)', ['1.1']))[0],
                 l='Touched')
    said = reader.read(expect=1)
    assert '1 of those who would be deleted are there' in said, said
    assert 'read whole' in reader.log
    small.restart()
    seen = reader.read()
    assert (seen['count'], seen['modified'], seen['deleted']) == (6, 1, 0)


def test_who_is_no_manager_any_more_is_gone(small, tmp_path):
    """A search does not find him, and nobody wrote to him."""
    boss, one = people(small)[:2]
    small.modify(one, manager=boss, title='Chosen')
    small.modify(boss, title='Boss')
    reader = Reader(tmp_path, small)
    reader.policy('filter = "(title=Chosen)";', more='manager = true;')
    assert reader.read()['count'] == 2
    for how in ((), ('full',)):
        small.modify(one, manager=None)
        seen = reader.read(*how)
        assert (seen['count'], seen['deleted']) == (1, 1), reader.log
        small.modify(one, manager=boss)
        assert reader.read(*how)['count'] == 2


def test_who_lost_the_address_is_gone(small, tmp_path):
    """Whoever is beside him shows one."""
    reader, _ = reading(tmp_path, small)
    small.modify(people(small)[0], mail=None)
    seen = reader.read()
    assert (seen['deleted'], seen['whole']) == (1, 0), reader.log
    # nobody is beside these, when they lose it
    other = elsewhere(small, 50, 51)
    assert reader.read()['count'] == 5
    for dn in small.search(other, '(mail=*)', ['1.1']):
        small.modify(dn, mail=None)
    seen = reader.read()
    assert (seen['deleted'], seen['whole']) == (2, 0), reader.log
    assert reader.truth() == seen['root']


def test_who_cannot_be_seen_any_more(small, tmp_path):
    """In one place; the feed tells who is gone in truth."""
    other = elsewhere(small, 50, 51)
    # that what was written last is gone would mean a restored server
    small.add_person(52)
    reader, first = reading(tmp_path, small)
    small.restart(access='access to dn.subtree="%s" by * none\n' % other)
    held = '2 of those who would be deleted cannot be seen any more'
    reader.refused(held, 'though nothing was written')
    new = small.add_person(60)
    assert reader.read()['count'] == 8
    small.delete(new)
    seen = reader.read()
    assert (seen['count'], seen['deleted'], seen['whole']) == (7, 1, 0)
    small.modify(small.partners, description='written')
    reader.refused(held, 'the change feed tells of no deletion')
    small.restart()
    seen = reader.read('full')
    assert (seen['count'], seen['added'], seen['deleted']) == (7, 0, 0)
    for dn in small.search(other, '(mail=*)', ['1.1']):
        small.delete(dn)
    seen = reader.read('full')
    assert (seen['count'], seen['deleted']) == (5, 2)


def test_who_cannot_be_seen_though_nothing_was_written(small, tmp_path):
    """No feed tells, nor is what was written last still there."""
    other = elsewhere(small, 50)
    reader, _ = reading(tmp_path, small)
    small.restart(access='access to dn.subtree="%s" by * none\n' % other)
    reader.refused('1 of those who would be deleted cannot be seen any more, '
                   'though nothing was written')
    reader.policy(ou(small), feed='full')
    reader.refused('though nothing was written')
    small.restart()
    assert reader.read('full')['count'] == 5


def test_a_place_in_which_nobody_can_be_seen(small, tmp_path):
    """No feed tells of deletions. Several went at once, and nobody stayed."""
    other = elsewhere(small, 50, 51, 52)
    reader, _ = reading(tmp_path, small, feed='full')
    small.restart(access='access to dn.children="%s" by * none\n' % other)
    small.add_person(60)
    reader.refused('3 of those who would be deleted cannot be seen any more, '
                   'with everybody else of their place', 'Other')
    small.restart()
    # one of them stays
    for dn in sorted(small.search(other, '(mail=*)', ['1.1']))[:2]:
        small.delete(dn)
    seen = reader.read()
    assert (seen['count'], seen['deleted']) == (6, 2)
    # fewer than several
    small.empty(other)
    seen = reader.read()
    assert (seen['count'], seen['deleted']) == (5, 1)


def test_a_place_that_is_deleted_with_all_in_it(small, tmp_path):
    other = elsewhere(small, 50, 51, 52)
    reader, _ = reading(tmp_path, small, feed='full')
    small.empty(other)
    small.delete(other)
    seen = reader.read()
    assert (seen['count'], seen['deleted']) == (4, 3)


# --- who was left out ---

def test_the_only_one_who_is_left_out(small, tmp_path):
    dn = small.add_person(20, businessCategory='NoGALsync')
    reader, first = reading(tmp_path, small)
    assert first['count'] == 4
    small.restart(access=NO_MARK)
    reader.refused('nobody wrote to the entry', 'businessCategory',
                   small.service_dn, '--allow-empty')
    # nor when the entry is written to for another reason
    small.modify(dn, title='Touched')
    said = reader.read(expect=1)
    assert 'the only one who was left out' in said, said
    assert 'the only one' in reader.refused('businessCategory')
    # nor when somebody else comes
    small.restart()
    assert reader.read()['count'] == 4
    assert reader.read('full')['count'] == 4
    small.restart(access=NO_MARK)
    small.add_person(21, businessCategory='NoGALsync')
    assert 'nobody wrote to the entry' in reader.read(expect=1)
    small.restart()
    assert reader.read()['count'] == 4


def test_the_only_one_may_go_out(small, tmp_path):
    dn = small.add_person(20, businessCategory='NoGALsync')
    reader, _ = reading(tmp_path, small)
    for other in ('Retail', None):
        small.modify(dn, businessCategory=other)
        assert reader.read()['count'] == 5
        small.modify(dn, businessCategory='NoGALsync')
        assert reader.read()['count'] == 4
    # several at once are asked about
    more = small.add_person(21, businessCategory='NoGALsync')
    assert reader.read('full')['count'] == 4
    for one in (dn, more):
        small.modify(one, businessCategory=None)
    assert 'several' in reader.read(expect=1)
    assert reader.read('empty')['count'] == 6
    # and that once
    small.add_person(22)
    assert reader.read()['count'] == 7


def test_a_mark_with_a_language(small, tmp_path):
    small.add_person(20, **{'businessCategory;lang-en': 'NoGALsync'})
    reader, first = reading(tmp_path, small)
    assert first['count'] == 4
    small.restart(access=NO_MARK)
    reader.refused('nobody wrote to the entry', 'by businessCategory:')


def test_one_right_of_several(small, tmp_path):
    """Those whom another attribute leaves out say nothing of this one, nor
    those of another place."""
    other = 'OU=Other,' + small.staff
    small.add(other, {'objectClass': 'organizationalUnit'})
    for number in (20, 21, 22):
        small.add_person(number, businessCategory='NoGALsync')
    one = small.add_person(23, businessCategory='NoGALsync')
    rdn = one.split(',')[0]
    small.rename(one, rdn, other)
    for number in (30, 31, 32):
        small.add_person(number, carLicense='Imported')
    two = small.add_person(33, employeeType='Imported')
    reader = Reader(tmp_path, small)
    reader.policy(ou(small), more='foreign_marks = [ '
                  '"carLicense=Imported", "employeeType=Imported" ];')
    assert reader.read()['count'] == 4
    small.restart(access='access to dn.subtree="%s" attrs=businessCategory '
                  'by * none\n' % other)
    reader.refused('nobody wrote to the entry', 'businessCategory')
    small.restart(access='access to attrs=employeeType by * none\n')
    reader.refused('nobody wrote to the entry', 'employeeType')
    small.restart()
    small.modify(two, employeeType='Temp')
    assert reader.read()['count'] == 5


def test_another_place_is_no_reason_to_believe_it(small, tmp_path):
    small.add_person(20, businessCategory='NoGALsync')
    reader, _ = reading(tmp_path, small)
    small.restart(access=NO_MARK)
    reader.policy(ou(small), 'ou = "%s";' % small.partners)
    reader.refused('nobody wrote to the entry')
    # but another word is
    reader.policy(ou(small), more='mark = "Secret";')
    assert reader.read()['count'] == 5


# --- Active Directory ---

@pytest.fixture
def denied(clean):
    """deny(attribute): the spoke's account may not read it below Staff, or of
    one entry."""
    forest = clean['west']
    before = forest.access(forest.staff)
    kept = {}

    def deny(attribute, dn=None):
        entry, = forest.search(
            'CN=Schema,CN=Configuration,' + forest.base,
            '(lDAPDisplayName=%s)' % attribute, ['schemaIDGUID']).values()
        kept.setdefault(dn, forest.access(dn or forest.staff))
        forest.grant(dn or forest.staff, '(OD;CI;RP;%s;;%s)' % (
            uuid.UUID(bytes_le=entry['schemaIDGUID'][0]),
            forest.sid_of(forest.service_dn)))

    def lift(dns):
        for dn in dns:
            forest.set_access(dn, kept[dn])

    deny.forest, deny.lift = forest, lift
    deny.back = lambda: forest.set_access(forest.staff, before)
    yield deny
    deny.back()


@pytest.mark.parametrize('attribute', [
    'mailNickname', 'msExchRecipientTypeDetails'])
def test_active_directory_denies_an_attribute(denied, tmp_path, attribute):
    forest = denied.forest
    forest.populate(4)
    reader, first = reading(tmp_path, forest)
    denied(attribute)
    said = reader.read(expect=1)
    assert attribute + ' would be lost' in said, said
    assert 'by 4 of 4 objects' in said, said
    reader.refused(attribute, 'nobody wrote to the entries')
    denied.back()
    assert reader.read('full')['root'] == first['root']
    # who was written to is believed
    forest.modify(people(forest)[0], telephoneNumber=None)
    seen = reader.read()
    assert seen['modified'] == 1 and not seen['whole']
    assert reader.truth() == seen['root']


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_active_directory_hides_some(clean, tmp_path, feed):
    """Where the account sees who is deleted."""
    forest = clean['west']
    forest.populate(4)
    other = elsewhere(forest, 50, 51)
    forest.delete(forest.add_person(60))
    secret = str(tmp_path / 'admin.password')
    forest.write_secret(secret, forest.admin_password)
    reader = Reader(tmp_path, types.SimpleNamespace(
        uri=forest.uri, ca=forest.ca, service_dn=forest.admin_dn,
        password_file=secret))
    reader.policy(ou(forest), feed=feed)
    assert reader.read()['count'] == 6
    before = forest.access(other)
    # list contents
    forest.grant(other, '(D;;LC;;;%s)' % forest.sid_of(forest.admin_dn))
    try:
        reader.refused('2 of those who would be deleted cannot be seen any '
                       'more', forest.admin_dn)
    finally:
        forest.set_access(other, before)
    seen = reader.read('full')
    assert (seen['count'], seen['deleted']) == (6, 0)
    forest.empty(other)
    seen = reader.read('full')
    assert (seen['count'], seen['deleted']) == (4, 2)


@pytest.mark.parametrize('feed', ['dirsync', 'usn', 'full'])
def test_active_directory_hides_a_place(clean, tmp_path, feed):
    """The account does not see who is deleted."""
    forest = clean['west']
    forest.populate(4)
    other = elsewhere(forest, 50, 51, 52)
    reader, first = reading(tmp_path, forest, feed=feed)
    assert first['count'] == 7
    before = forest.access(other)
    forest.grant(other, '(D;;LC;;;%s)' % forest.sid_of(forest.service_dn))
    held = ('3 of those who would be deleted cannot be seen any more, with '
            'everybody else of their place')
    try:
        assert held in reader.read(expect=1)
        reader.refused(held, 'OU=Other')
    finally:
        forest.set_access(other, before)
    seen = reader.read('full')
    assert (seen['count'], seen['deleted']) == (7, 0)


@pytest.mark.parametrize('feed', ['dirsync', 'full'])
def test_active_directory_shows_nothing_of_some(clean, tmp_path, feed):
    """Of one place no property, but what others may read of everybody: nor
    the stamps that would tell that nobody wrote to these."""
    forest = clean['west']
    forest.populate(8)
    other = elsewhere(forest, 50, 51, 52)
    for number in (60, 61):
        hidden = forest.add_person(number, msExchHideFromAddressLists='TRUE')
    name = hidden.split(',')[0]
    forest.rename(hidden, name, other)
    reader, first = reading(tmp_path, forest, feed=feed)
    assert first['count'] == 11
    before = forest.access(other)
    forest.grant(other, '(D;CI;RP;;;%s)' % forest.sid_of(forest.service_dn))
    try:
        reader.refused('hidden from address lists', 'nobody wrote to the '
                       'entry')
        forest.delete('%s,%s' % (name, other))
        reader.refused('mailNickname would be lost by 3 of 11 objects')
    finally:
        forest.set_access(other, before)
    assert reader.read('full')['root'] == first['root']


def test_active_directory_denies_it_of_each(denied, tmp_path):
    """Then each entry is written to, and only that all lost it is odd."""
    forest = denied.forest
    forest.populate(3)
    reader, _ = reading(tmp_path, forest)
    for dn in people(forest):
        denied('telephoneNumber', dn)
    said = reader.read(expect=1)
    assert 'telephoneNumber would be lost by 3 of 3' in said, said
    assert 'nobody wrote' not in said, said


def test_active_directory_denies_what_hides_members(denied, tmp_path):
    forest = denied.forest
    forest.populate(2)
    groups = [forest.add_group(name, name + '@west.example', people(forest))
              for name in ('one', 'two', 'three')]
    for dn in groups:
        forest.modify(dn, hideDLMembership='TRUE')
    reader, first = reading(tmp_path, forest)
    for dn in groups:
        denied('hideDLMembership', dn)
    said = reader.read(expect=1)
    assert 'hideDLMembership would be lost by 3 of 3' in said, said
    # one that tells of its members is no accident
    denied.lift(groups)
    assert reader.read('full')['root'] == first['root']
    forest.modify(groups[0], hideDLMembership=None)
    seen = reader.read()
    assert seen['modified'] == 1 and not seen['whole'], reader.log


def test_active_directory_hides_the_only_one(denied, tmp_path):
    forest = denied.forest
    forest.populate(3)
    dn = forest.add_person(20, msExchHideFromAddressLists='TRUE')
    reader, first = reading(tmp_path, forest)
    assert first['count'] == 3
    denied('msExchHideFromAddressLists')
    # found by a run in which nobody was written to
    said = reader.read(expect=1)
    for word in ('nobody wrote to the entry', 'hidden from address lists',
                 'msExchHideFromAddressLists', forest.service_dn):
        assert word in said, said
    # and remembered
    forest.modify(dn, title='Touched')
    assert 'the only one' in reader.read(expect=1)
    assert 'the only one' in reader.refused('msExchHideFromAddressLists')
    denied.back()
    assert reader.read()['count'] == 3
    for shown in ('FALSE', None):
        forest.modify(dn, msExchHideFromAddressLists=shown)
        assert reader.read()['count'] == 4
        forest.modify(dn, msExchHideFromAddressLists='TRUE')
        assert reader.read()['count'] == 3
