"""A domain controller that takes over before the newest changes have arrived:
nobody is deleted, nothing goes back, and the message says who lacks what."""

import contextlib
import os
import types
import uuid

import pytest
from testbed import dns
from testbed.reader import Reader, ou, uris

BEHIND = 'behind the server that was read before'


@pytest.fixture
def pair(family):
    """(first, second) controllers of one domain, with the same people; the
    second is not running."""
    first, second = family.root, family.second
    first.empty(first.staff)
    for number in range(4):
        first.add_person(number)
    second.pull(first)
    return first, second


@pytest.fixture
def late(pair):
    """late(): somebody whom only the second controller knows."""
    first, second = pair
    made = []

    def add_late():
        made.append(second.add_contact('Late', 'late@north.example'))
        return made[0]

    yield add_late
    with instead(first, second):
        for dn in made:
            second.delete(dn)


@contextlib.contextmanager
def instead(first, second):
    """The second one answers, the first does not."""
    second.start()
    second.wait()
    first.stop()
    try:
        yield
    finally:
        first.start()
        first.wait()
        second.stop()


def reader_of(pair, tmp_path, feed='auto'):
    first, second = pair
    reader = Reader(tmp_path, first, uris(first.uri, second.uri))
    reader.policy(ou(first), feed=feed)
    assert reader.read()['count'] == 4
    return reader


def people(server):
    return sorted(server.search(server.staff, '(mail=*)', ['1.1']))


def add(server):
    server.add_person(70)


def modify(server):
    server.modify(people(server)[0], title='Director')


def delete(server):
    server.delete(people(server)[0])


def rename(server):
    server.rename(people(server)[0], 'CN=Renamed')


@pytest.mark.parametrize('change', [add, modify, delete, rename])
@pytest.mark.parametrize('feed', ['usn', 'dirsync'])
def test_a_controller_that_is_behind(pair, tmp_path, feed, change):
    first, second = pair
    reader = reader_of(pair, tmp_path, feed)
    change(first)
    seen = reader.read()
    assert not seen['whole'], reader.log
    with instead(first, second):
        reader.refused('%s is %s (%s)' % (second.uri, BEHIND, first.uri),
                       ' changes have not arrived', '--allow-empty')
        assert BEHIND in reader.read(expect=1)
    # the other one is back
    assert reader.read()['root'] == seen['root']
    second.pull(first)
    with instead(first, second):
        taken = reader.read()
        assert taken['root'] == seen['root'] and taken['whole'], reader.log
        assert reader.read()['unchanged']
    assert reader.read()['root'] == seen['root']


def test_a_controller_that_is_not_behind_is_followed(pair, late, tmp_path):
    first, second = pair
    reader = reader_of(pair, tmp_path)
    first.add_person(71)
    assert reader.read()['count'] == 5
    second.pull(first)
    with instead(first, second):
        contact = late()
        taken = reader.read()
        assert taken['whole'] and taken['added'] == 1, reader.log
        second.modify(contact, title='Later')
        assert not reader.read()['whole'], reader.log
        second.delete(second.add_contact('Gone', 'gone@north.example'))
        newest = reader.read()
    # the one that comes back has not heard of that
    reader.refused('%s is %s (%s)' % (first.uri, BEHIND, second.uri))
    # and is believed when it never does
    reader.now += 3 * 3600 * 1000
    assert reader.read()['count'] == newest['count'] - 1
    assert 'believed now' in reader.log
    assert reader.read()['unchanged']


def test_a_lagging_controller_is_believed_when_somebody_says_so(
        pair, tmp_path):
    first, second = pair
    reader = reader_of(pair, tmp_path)
    first.add_person(72)
    assert reader.read()['count'] == 5
    with instead(first, second):
        assert BEHIND in reader.read(expect=1)
        assert reader.read('empty')['count'] == 4
        assert reader.read()['unchanged']


def test_what_is_written_elsewhere_does_not_count(pair, late, tmp_path):
    """Configuration is another context, of which the cursors of this one say
    nothing; also behind a deletion, when the account sees those."""
    first, second = pair
    secret = os.path.join(str(tmp_path), 'admin.password')
    first.write_secret(secret, first.admin_password)
    admin = types.SimpleNamespace(
        uri=first.uri, ca=first.ca, service_dn=first.admin_dn,
        password_file=secret)
    reader = Reader(tmp_path, admin, uris(first.uri, second.uri))
    reader.policy(ou(first))
    assert reader.read()['count'] == 4
    delete(first)
    second.pull(first)
    first.modify('CN=Sites,CN=Configuration,' + first.base,
                 description=str(tmp_path))
    assert reader.read()['count'] == 3
    with instead(first, second):
        late()
        assert reader.read()['count'] == 4, reader.log


def test_a_place_that_has_not_arrived(pair, tmp_path):
    """What else may be wrong then is said behind it: nobody is to call it
    meant."""
    first, second = pair
    unit = first.add('OU=New,' + first.staff,
                     {'objectClass': 'organizationalUnit'})
    first.rename(people(first)[0], 'CN=Mover', unit)
    reader = Reader(tmp_path, first, uris(first.uri, second.uri))
    reader.policy('ou = "%s";' % unit)
    assert reader.read()['count'] == 1
    with instead(first, second):
        said = reader.refused(BEHIND)
        assert said.startswith(second.uri), said


def test_the_vector_cannot_be_read(pair, late, tmp_path):
    """Then what was written last must be there."""
    first, second = pair
    schema = 'CN=Schema,CN=Configuration,' + first.base
    entry, = first.search(schema, '(lDAPDisplayName=replUpToDateVector)',
                          ['schemaIDGUID']).values()
    before = first.access(first.base)
    first.grant(first.base, '(OD;;RP;%s;;%s)' % (
        uuid.UUID(bytes_le=entry['schemaIDGUID'][0]),
        first.sid_of(first.service_dn)))
    try:
        second.pull(first)
        reader = reader_of(pair, tmp_path)
        modify(first)
        seen = reader.read()
        with instead(first, second):
            reader.refused('of the last ', ' 1 have not arrived', BEHIND)
        second.pull(first)
        with instead(first, second):
            late()
            assert reader.read()['count'] == seen['count'] + 1, reader.log
    finally:
        first.set_access(first.base, before)


def test_one_of_equal_controllers_is_read_again(pair, block, tmp_path):
    """Of two that DNS names alike, always the same, as long as it answers."""
    first, second = pair
    names = dns.Dns(block.address(18), str(tmp_path))
    for server in pair:
        host = '%s.%s' % (server.host.lower(), server.domain)
        names.host(host, server.address)
        names.srv('_ldap._tcp.dc._msdcs.' + server.domain, host, 389)
    names.start()
    second.start()
    second.wait()
    try:
        reader = Reader(tmp_path, first, 'domain = "%s";' % first.domain,
                        wrap=names.wrap())
        reader.policy(ou(first))
        assert reader.read()['count'] == 4
        for _ in range(10):
            assert reader.read()['unchanged'], reader.log
    finally:
        second.stop()
        names.stop()
