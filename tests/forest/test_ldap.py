"""common/ldap against real servers: what it reads, writes and refuses."""

import json
import os
import subprocess

import ldap
import pytest
from testbed import people

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROBE = os.path.join(os.environ.get('GALRELAY_BUILD',
                                    os.path.join(ROOT, 'build')),
                     'tests', 'forest', 'ldap_probe')
ODD = ['Berg, Anna', '#hash', '"quoted" + <angle>; a=b\\c', 'star * (paren)',
       '\U0001f600 emoji', '\u05e9\u05dc\u05d5\u05dd', 'cn=evil,dc=other',
       '0123456789' * 8, 'nul\0inside', ' blanks ']


def probe(directory, *arguments, uri=None, bind='simple', who=None,
          secret=None, ca=None, good=True, **environment):
    answer = subprocess.run(
        [PROBE, uri or directory.uri, bind, who or directory.service_dn,
         secret or directory.service_password,
         directory.ca if ca is None else ca, *arguments],
        capture_output=True, text=True, timeout=60,
        env=dict(os.environ, **environment))
    assert answer.returncode == (0 if good else 1), (
        answer.stdout + answer.stderr)
    if not good:
        return answer.stdout
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_exchange_dialect(clean):
    forest = clean['north']
    found, = probe(forest, 'dialect')
    assert found['kind'] == 'exchange'
    assert found['provenance'] == 'extensionName'
    assert found['context'].lower() == forest.base.lower()
    # exists, a contact may have it, its upper length
    assert found['cn'] == [1, 1, 64]
    assert found['targetAddress'] == [1, 1, 1123]
    assert found['mailNickname'] == [1, 1, 64]
    assert found['objectSid'][:2] == [1, 0]
    assert found['nonsense'] == [0, 0, 0]


def test_mark_changes_with_the_directory(clean):
    forest = clean['north']
    before = probe(forest, 'mark')
    assert before[0] and probe(forest, 'mark') == before
    forest.add_person(1)
    assert probe(forest, 'mark') != before


def test_recipients_are_read_and_nothing_else(clean):
    forest = clean['south']
    forest.populate(30)
    forest.add_group('Everybody', 'everybody@south.example')
    forest.add_contact('Guest', 'guest@elsewhere.example')
    forest.add('CN=Unit,' + forest.staff,
               {'objectClass': 'group', 'sAMAccountName': 'unit'})
    forest.link.modify_s(forest.add_person(31), [
        (ldap.MOD_REPLACE, 'msExchRecipientTypeDetails', [b'8388608'])])
    seen = probe(forest, 'export', forest.base)
    # a mailbox that Exchange keeps for itself is no recipient
    system, = (e for e in seen if e['type'] == 8388608)
    assert system['kind'] == 0
    seen.remove(system)
    kinds = [entry['kind'] for entry in seen]
    assert (kinds.count(1), kinds.count(2), kinds.count(3)) == (30, 1, 1)
    assert len(kinds) == 32
    wanted = people.person('south', 4)
    entry, = (e for e in seen if e['mail'] == [wanted['mail']])
    for name in ('cn', 'displayName', 'givenName', 'sn', 'company', 'title',
                 'telephoneNumber', 'streetAddress', 'mailNickname',
                 'legacyExchangeDN', 'l', 'postalCode', 'c', 'co'):
        assert entry[name] == [wanted[name]], name
    assert set(entry['proxyAddresses']) == set(wanted['proxyAddresses'])
    assert entry['type'] == 1
    assert len({e['id'] for e in seen}) == 32


def test_a_range_is_followed_to_its_end(clean):
    forest = clean['north']
    forest.populate(120)
    members = [forest.person_dn(p['cn']) for p in people.people('north', 120)]
    group = forest.add_group('Everybody', 'all@north.example', members)
    entry, = probe(forest, 'read', group, '(objectClass=group)',
                   'member;range=0-9')
    assert entry['count'] == 120
    assert len({m.lower() for m in entry['values']}) == 120


def test_contacts_are_written_and_one_is_refused(clean):
    forest = clean['north']
    results = probe(forest, 'write', forest.partners, '50')
    assert [r['code'] for r in results] == [0] * 50
    entry = forest.read('CN=Probe 7,' + forest.partners)
    assert entry['targetAddress'] == [b'SMTP:x@north.example']
    assert entry['extensionName'] == [b'galrelay:test']
    assert entry['msExchRecipientDisplayType'] == [b'-2147483642']
    assert entry['msExchRecipientTypeDetails'] == [b'64']
    assert entry['internetEncoding'] == [b'1310720']
    assert 'nonsense' not in entry
    # a second time: each is told that it exists
    again = probe(forest, 'write', forest.partners, '3')
    assert [r['code'] for r in again] == [68] * 3
    # no right to write there
    refused = probe(forest, 'write', forest.staff, '2')
    assert [r['code'] for r in refused] == [50, 50]


def test_odd_names(clean):
    forest = clean['west']
    results = {r['cookie']: r for r in probe(forest, 'odd', forest.partners)}
    for i, name in enumerate(ODD):
        if len(name) > 64:
            assert results[i]['code'] != 0
            assert results[i]['attribute'] == 'cn'
        else:
            assert results[i]['code'] == 0, name
    found = probe(forest, 'read', forest.partners, '(objectClass=contact)',
                  'cn')
    assert sorted(e['values'][0] for e in found) == sorted(
        name for name in ODD if len(name) <= 64)


@pytest.mark.parametrize('scheme', ['ldap', 'ldaps'])
def test_kerberos_with_a_keytab(clean, scheme, tmp_path):
    forest = clean['north']
    conf, keytab, principal = forest.kerberos()
    # Debian's SASL plugin never frees what it acquires for channel binding.
    known = tmp_path / 'known-leaks'
    known.write_text('leak:libgssapiv2\n')
    found, = probe(forest, 'dialect', uri='%s://%s' % (scheme, forest.address),
                   bind='gssapi', who=principal, secret=keytab,
                   KRB5_CONFIG=conf,
                   ASAN_OPTIONS='fast_unwind_on_malloc=0',
                   LSAN_OPTIONS='print_suppressions=0:suppressions=%s' % known)
    assert found['kind'] == 'exchange'


def test_kerberos_says_what_is_wrong(clean, tmp_path):
    forest = clean['north']
    conf, keytab, principal = forest.kerberos()
    missing = str(tmp_path / 'none.keytab')
    message = probe(forest, 'mark', bind='gssapi', who=principal,
                    secret=missing, good=False, KRB5_CONFIG=conf)
    assert missing in message and 'check keytab' in message


def test_connecting_says_what_is_wrong(clean):
    forest = clean['north']
    plain = 'ldap://' + forest.address
    assert 'use an ldaps:// URI' in probe(forest, 'mark', uri=plain,
                                          good=False)
    assert probe(forest, 'mark', uri=plain, bind='starttls')
    assert 'check user and password_file' in probe(
        forest, 'mark', secret='wrong', good=False)
    assert 'not trusted' in probe(forest, 'mark', ca='', good=False)


def test_openldap(openldap):
    openldap.populate(40)
    found, = probe(openldap, 'dialect')
    assert found['kind'] == 'openldap'
    assert found['provenance'] == 'labeledURI'
    assert found['company'][:2] == [1, 1]       # as "o"
    assert found['targetAddress'][:2] == [0, 0]
    assert found['mailNickname'][:2] == [0, 0]  # "uid" is only read
    before = probe(openldap, 'mark')
    assert before[0] and probe(openldap, 'mark') == before
    seen = probe(openldap, 'export', openldap.base)
    assert len(seen) == 40
    wanted = people.person('west', 4)
    entry, = (e for e in seen if e['mail'] == [wanted['mail']])
    for name in ('cn', 'displayName', 'givenName', 'sn', 'company', 'title',
                 'department', 'telephoneNumber', 'streetAddress',
                 'mailNickname', 'l', 'postalCode'):
        assert entry[name] == [wanted[name]], name
    assert entry['proxyAddresses'] == ['SMTP:' + wanted['mail']]
    results = probe(openldap, 'write', openldap.partners, '250')
    assert [r['code'] for r in results] == [0] * 250
    assert probe(openldap, 'mark') != before
    entry = openldap.read('cn=Probe 7,' + openldap.partners)
    assert entry['o'] == [b'Example Ltd']
    assert entry['sn'] == [b'Probe 7']
    assert entry['labeledURI'] == [b'galrelay:test']
    assert entry['telephoneNumber'] == [b'+49 30-1']
    openldap.empty(openldap.partners)
    results = {r['cookie']: r['code'] for r in probe(
        openldap, 'odd', openldap.partners)}
    assert list(results.values()).count(0) == len(ODD)
