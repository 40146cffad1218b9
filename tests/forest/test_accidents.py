"""What looks like an accident to the people who are shared, and must not be
one: places that are made anew, entries that resemble each other, servers that
lag behind, rights that are withdrawn in part."""

import uuid

import ldap
import pytest
from testbed import net, people, slapd
from testbed.reader import Reader, ou, uris
from test_collect_faults import Trap


@pytest.fixture
def east(openldap):
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


@pytest.mark.parametrize('by', ['name', 'id'])
def test_an_excluded_place_that_cannot_be_seen_any_more(server, tmp_path, by):
    """What is in it can."""
    secret = unit(server, 'Secret')
    person(server, 100, secret)
    named = secret if by == 'name' else server.read(
        secret, ['entryUUID'])['entryUUID'][0].decode()
    reader = Reader(tmp_path, server)
    reader.policy('ou = "%s"; exclude = [ "%s" ];' % (server.staff, named))
    assert reader.read()['count'] == 6
    server.rename(secret, 'OU=Silent')
    silent = 'OU=Silent,' + server.staff
    server.add_person(101)
    assert reader.read()['count'] == 7
    server.restart(access='access to dn.exact="%s" by * none\n' % silent)
    assert server.search(silent, '(mail=*)', ['1.1'])
    server.add_person(102)
    for how in ((), ('full',)):
        assert reader.read(*how)['count'] == 8, reader.log
    # nor who comes into it
    person(server, 103, silent)
    assert reader.read()['count'] == 8


def test_a_single_object_that_is_made_anew(east, tmp_path):
    """Another under its name is another, until somebody says who is meant."""
    alone = person(east, 100, east.base)
    reader = Reader(tmp_path, east)
    reader.policy('object = "%s";' % alone)
    assert reader.read()['count'] == 1
    east.delete(alone)
    try:
        assert reader.read()['deleted'] == 1
        assert 'does not exist object=' in reader.log
        person(east, 100, east.base, title='Another')
        assert reader.read()['count'] == 0
        assert '--allow-empty' in reader.log
        assert reader.read('empty')['count'] == 1
        assert reader.read('full')['count'] == 1
        assert 'does not exist' not in reader.log
    finally:
        east.delete(alone)


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
    ('ou = "{0}"; scope = "this-ou";', 'ou = "{0}";'),
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


@pytest.fixture
def server(tmp_path, block, authority):
    """A slapd whose access lists a test may change."""
    address = block.address(34)
    key, cert = authority.issue('ldap.accidents.example', address,
                                net.relay_address(address))
    made = slapd.Slapd('accidents', address, authority, str(tmp_path),
                       domain='accidents.example', key=key, cert=cert).start()
    made.populate(6)
    yield made
    made.stop()


@pytest.fixture
def pair(tmp_path, block, authority):
    """Two servers of one directory; each can take over what the other has."""
    made = []
    for i in (1, 2):
        address = block.address(30 + i)
        key, cert = authority.issue('ldap%d.pair.example' % i, address,
                                    net.relay_address(address))
        made.append(slapd.Slapd('pair%d' % i, address, authority,
                                str(tmp_path), domain='pair.example', key=key,
                                cert=cert).start())
    made[0].populate(6)
    yield made
    for server in made:
        server.stop()


def test_a_server_that_is_behind_is_not_believed(pair, tmp_path):
    """The second one takes over before the newest changes have arrived."""
    first, second = pair
    reader = Reader(tmp_path, first, uris(first.uri, second.uri))
    reader.policy(ou(first))
    assert reader.read()['count'] == 6
    second.restore(first.save())
    first.add_person(20)
    seen = reader.read()
    assert seen['count'] == 7
    first.stop()
    newest = first.save()
    reader.refused(second.uri, 'behind the server that was read before')
    assert 'another server answered instead' in reader.log
    assert 'behind' in reader.read(expect=1)
    assert reader.root() is not None
    # it catches up
    second.restore(newest)
    assert reader.read()['root'] == seen['root']
    second.add_person(21)
    assert reader.read()['count'] == 8
    # the one that comes back is behind now
    first.start()
    said = reader.read(expect=1)
    assert first.uri in said and 'behind' in said
    # and is believed when it never catches up
    reader.now += 3 * 3600 * 1000
    assert reader.read()['count'] == 7
    assert 'believed now' in reader.log


@pytest.mark.parametrize('then', ['nothing new', 'held'])
def test_a_server_that_is_behind_again_is_waited_for_again(
        pair, tmp_path, then):
    """It was behind once, and the other one was read since: that is over."""
    first, second = pair
    reader = Reader(tmp_path, first, uris(first.uri, second.uri))
    reader.policy(ou(first))
    assert reader.read()['count'] == 6
    second.restore(first.save())
    first.add_person(20)
    assert reader.read()['count'] == 7
    first.stop()
    assert 'behind' in reader.read(expect=1)
    first.start()
    if then == 'held':
        reader.policy(ou(first), more='minimum = 100;')
        assert 'minimum' in reader.read('full', expect=1)
        reader.policy(ou(first))
    else:
        assert reader.read()['unchanged'], reader.log
    reader.now += 4 * 3600 * 1000
    first.stop()
    said = reader.read(expect=1)
    assert second.uri in said and 'behind' in said, said


def test_a_restored_server_is_believed_when_somebody_says_so(pair, tmp_path):
    first = pair[0]
    reader = Reader(tmp_path, first)
    reader.policy(ou(first))
    dump = first.save()
    first.add_person(20)
    assert reader.read()['count'] == 7
    first.restore(dump)
    assert '--allow-empty' in reader.read(expect=1)
    assert reader.read('empty')['count'] == 6
    assert reader.read()['unchanged']


def test_each_address_says_how_it_is_protected(server, tmp_path):
    """The password goes to no server in the clear, because the one before it
    was on this machine."""
    server.restart(extra='security simple_bind=128\n')
    reader = Reader(tmp_path, server, uris(
        'ldapi://%2Fnowhere', 'ldap://%s:%d' % (server.address, server.port)))
    reader.policy(ou(server))
    assert reader.read()['count'] == 6


def test_openldap_marks_that_cannot_be_read_any_more(pair, tmp_path):
    """Nobody who was left out goes out because the account lost the right to
    read why."""
    server = pair[0]
    for number in (20, 21, 22):
        server.add_person(number, businessCategory='NoGALsync')
    reader = Reader(tmp_path, server)
    reader.policy(ou(server))
    assert reader.read()['count'] == 6
    server.restart(access='access to attrs=businessCategory by * none\n')
    reader.refused('marked not to be exported', 'nobody wrote to the entry',
                   '--allow-empty')
    marked = server.search(server.staff, '(businessCategory=NoGALsync)')
    for dn in marked:
        server.modify(dn, title='Touched')
    assert 'marked not to be exported' in reader.read(expect=1)
    server.restart()
    assert reader.read()['count'] == 6
    # one after the other may go out, which is no accident
    for count, dn in enumerate(sorted(marked), 7):
        server.modify(dn, businessCategory=None)
        assert reader.read()['count'] == count
    # all at once is said first
    for dn in marked:
        server.modify(dn, businessCategory='NoGALsync')
    assert reader.read('full')['count'] == 6
    for dn in marked:
        server.modify(dn, businessCategory=None)
    assert 'marked not to be exported' in reader.read(expect=1)
    assert reader.read('empty')['count'] == 9


def test_active_directory_hides_what_hides(clean, tmp_path):
    forest = clean['west']
    forest.populate(5)
    for number in (20, 21):
        forest.add_person(number, msExchHideFromAddressLists='TRUE')
    reader = Reader(tmp_path, forest)
    reader.policy(ou(forest))
    assert reader.read()['count'] == 5
    schema = 'CN=Schema,CN=Configuration,' + forest.base
    entry, = forest.search(
        schema, '(lDAPDisplayName=msExchHideFromAddressLists)',
        ['schemaIDGUID']).values()
    before = forest.access(forest.staff)
    forest.grant(forest.staff, '(OD;CI;RP;%s;;%s)' % (
        uuid.UUID(bytes_le=entry['schemaIDGUID'][0]),
        forest.sid_of(forest.service_dn)))
    try:
        reader.refused('hidden from address lists')
        forest.add_person(30)
        assert 'hidden from address lists' in reader.read(expect=1)
    finally:
        forest.set_access(forest.staff, before)
    assert reader.read()['count'] == 6


@pytest.mark.parametrize('kind', ['memberOf', 'chain'])
def test_a_filter_for_the_members_of_a_group(clean, tmp_path, kind):
    """Whoever is put into a group is found at once, though nobody wrote to
    their entries."""
    forest = clean['west']
    forest.populate(4)
    one, two = sorted(forest.search(
        forest.staff, '(objectClass=person)', ['1.1']))[:2]
    group = forest.add('CN=Chosen,' + forest.staff, {
        'objectClass': 'group', 'sAMAccountName': 'Chosen', 'member': one})
    reader = Reader(tmp_path, forest)
    reader.policy('filter = "(&(mail=*)(%s=%s))";' % (
        kind if kind == 'memberOf' else
        'memberOf:1.2.840.113556.1.4.1941:', group))
    assert reader.read()['count'] == 1
    forest.link.modify_s(group, [(ldap.MOD_ADD, 'member', two.encode())])
    assert reader.read()['count'] == 2
    forest.link.modify_s(group, [(ldap.MOD_DELETE, 'member', one.encode())])
    seen = reader.read()
    assert seen['count'] == 1 and seen['root'] == reader.truth()


@pytest.mark.parametrize('name', [
    'memberOf', '1.2.840.113556.1.2.102', 'MemberOf:distinguishedNameMatch:'])
def test_openldap_a_filter_for_the_members_of_a_group(
        block, authority, tmp_path, name):
    """The overlay that keeps memberOf writes to entries as nobody does."""
    server = slapd.Slapd(
        'links', block.address(28), authority, str(tmp_path),
        extra='moduleload memberof', overlays='overlay memberof\n').start()
    try:
        one, two = (person(server, number, server.staff)
                    for number in (130, 131))
        group = server.add('cn=chosen,' + server.base, {
            'objectClass': 'groupOfNames', 'cn': 'chosen', 'member': one})
        reader = Reader(tmp_path, server)
        reader.policy('filter = "(&(mail=*)(%s=%s))";' % (name, group))
        assert reader.read()['count'] == 1
        server.link.modify_s(group, [(ldap.MOD_ADD, 'member', two.encode())])
        assert reader.read()['count'] == 2
        server.link.modify_s(group, [
            (ldap.MOD_DELETE, 'member', one.encode())])
        seen = reader.read()
        assert seen['count'] == 1 and seen['root'] == reader.truth()
    finally:
        server.stop()


def test_who_moves_while_everything_is_read(pair, tmp_path):
    """Out of a place that is still to be read, into one that was."""
    server = pair[0]
    other = unit(server, 'Other', server.base)
    person(server, 300, other, cn='Mover')
    person(server, 301, other)
    server.populate(60, forest='north')
    where = [other]

    def move():
        target = server.staff if where[0] == other else other
        server.rename('CN=Mover,' + where[0], 'CN=Mover', target)
        where[0] = target

    trap = Trap((server.behind, 636), (server.address, 636), move)
    reader = Reader(tmp_path, server, uris('ldaps://' + server.behind),
                    more='page_size = 10;')
    reader.policy(ou(server), 'ou = "%s";' % other, feed='full')
    try:
        first = reader.read()
        trap.set(None)
        assert reader.read('full')['root'] == first['root']
        for share in (50, 60, 70, 80, 90):
            if where[0] != other:
                move()
            trap.set(trap.passed * share // 100)
            seen = reader.read('full')
            assert trap.limit is None and where[0] != other
            assert (seen['deleted'], seen['count']) == (0, first['count'])
            trap.set(None)
            reader.read('full')
    finally:
        trap.close()


def test_who_is_deleted_while_everything_is_read(pair, tmp_path):
    """Behind the change feed's back, which is asked again before somebody is
    held who was deleted in truth."""
    server = pair[0]
    last = [server.add_person(number, forest='north')
            for number in range(400, 460)]
    trap = Trap((server.behind, 636), (server.address, 636),
                lambda: server.delete(last.pop()))
    reader = Reader(tmp_path, server, uris('ldaps://' + server.behind),
                    more='page_size = 10;')
    reader.policy(ou(server))
    try:
        count = reader.read()['count']
        trap.set(None)
        assert reader.read('full')['count'] == count
        for share in (60, 70, 80, 90):
            left = len(last)
            trap.set(trap.passed * share // 100)
            reader.read('full')
            assert trap.limit is None and len(last) == left - 1
            count -= 1
            trap.set(None)
            assert reader.read('full')['count'] == count
    finally:
        trap.close()


def test_a_place_is_renamed_while_what_was_touched_is_read(east, tmp_path):
    """They are in the stream, and in none of the places that were found."""
    unit(east, 'Innate')
    person(east, 399, 'OU=Innate,' + east.staff)
    inner = unit(east, 'Inner')
    dns = [person(east, number, inner, description='x' * 3000)
           for number in range(400, 550)]
    where = [inner]

    def rename():
        new = 'OU=Innermost' if where[0] == inner else 'OU=Inner'
        east.rename(where[0], new)
        where[0] = '%s,%s' % (new, east.staff)

    def touch(title):
        for dn in dns:
            east.modify(dn.replace(inner, where[0]), title=title)

    trap = Trap((east.behind, 636), (east.address, 636), rename)
    reader = Reader(tmp_path, east, uris('ldaps://' + east.behind))
    reader.policy('search = "Inn*"; kinds = [ "ou" ];')
    try:
        first = reader.read()
        assert first['count'] == len(dns) + 1
        trap.set(None)
        touch('Counted')
        assert reader.read()['modified'] == len(dns)
        whole, refused = trap.passed, 0
        for share in (0.4, 0.5, 0.6, 0.7):
            touch('At %s' % share)
            trap.set(int(whole * share))
            try:
                assert reader.read()['deleted'] == 0
            except AssertionError as error:
                assert 'while it was read' in str(error), error
                refused += 1
            assert trap.limit is None
            trap.set(None)
            seen = reader.read()
            assert (seen['deleted'], seen['count']) == (0, first['count'])
        assert refused > 0
    finally:
        trap.close()
