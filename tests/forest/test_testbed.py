"""The test directories themselves: what every other test relies on."""

import ldap
import pytest
from ldap.controls import RequestControl

from testbed import people

EXCHANGE = {
    'targetAddress': 'SMTP:someone@other.example', 'mailNickname': 'someone',
    'internetEncoding': '1310720', 'mAPIRecipient': 'FALSE',
    'msExchPoliciesExcluded': '{26491cfc-9e50-4857-861b-0cb8df22b5d7}',
    'msExchOriginatingForest': 'other.example',
    'msExchRecipientDisplayType': '-2147483642',
    'msExchRecipientTypeDetails': '64',
    'msExchHideFromAddressLists': 'FALSE', 'extensionAttribute15': 'x',
    'legacyExchangeDN': '/o=x/cn=someone',
    'proxyAddresses': ['SMTP:someone@other.example', 'X500:/o=y/cn=some'],
    'extensionName': 'galrelay', 'mail': 'someone@other.example'}


def as_service(directory):
    return directory.connect(directory.service_dn,
                             directory.service_password)


def contact():
    return [('objectClass', [b'contact'])] + [
        (name, [v.encode() for v in (value if isinstance(value, list)
                                     else [value])])
        for name, value in EXCHANGE.items()]


def test_service_account_reads_people(clean):
    forest = clean['south']
    forest.populate(30)
    link = as_service(forest)
    rows = link.search_s(forest.staff, ldap.SCOPE_ONELEVEL, '(mail=*)')
    assert len(rows) == 30
    entry = rows[0][1]
    for name in ('mailNickname', 'msExchRecipientDisplayType', 'objectGUID',
                 'proxyAddresses', 'legacyExchangeDN', 'telephoneNumber',
                 'streetAddress', 'company', 'uSNChanged'):
        assert name in entry, name


def test_service_account_writes_contacts_only_in_the_import_unit(clean):
    forest = clean['north']
    link = as_service(forest)
    dn = 'CN=Someone,' + forest.partners
    link.add_s(dn, contact())
    link.modify_s(dn, [(ldap.MOD_REPLACE, 'title', [b'Chief'])])
    link.rename_s(dn, 'CN=Someone Else')
    assert forest.read('CN=Someone Else,' + forest.partners)['title'] == [
        b'Chief']
    link.delete_s('CN=Someone Else,' + forest.partners)
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        link.add_s('CN=Someone,' + forest.staff, contact())
    user = people.ad_user(people.person('north', 1))
    user['cn'] = 'Someone'
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        link.add_s(dn, [(name, [v.encode() for v in (
            value if isinstance(value, list) else [value])])
            for name, value in user.items()])


def test_service_account_may_use_dirsync(clean):
    forest = clean['north']
    link = as_service(forest)
    control = RequestControl('1.2.840.113556.1.4.841', True, bytes.fromhex(
        '300a0201000203100000' '0400'))
    message = link.search_ext(forest.base, ldap.SCOPE_SUBTREE,
                              '(objectClass=user)', serverctrls=[control])
    _, rows, _, _ = link.result3(message)
    assert rows


def test_certificates_are_verified(forests, tmp_path):
    forest = forests['west']
    link = ldap.initialize(forest.uri)
    empty = tmp_path / 'ca.pem'
    empty.write_text('')
    link.set_option(ldap.OPT_X_TLS_CACERTFILE, str(empty))
    link.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    link.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    with pytest.raises(ldap.LDAPError):
        link.simple_bind_s(forest.service_dn, forest.service_password)


def test_slapd_pages_for_its_service_account(openldap):
    openldap.populate(40)
    link = as_service(openldap)
    rows = link.search_s(openldap.staff, ldap.SCOPE_ONELEVEL, '(mail=*)',
                         ['mail', 'entryUUID'])
    assert len(rows) == 40
    root = link.search_s(openldap.base, ldap.SCOPE_BASE, attrlist=[
        'contextCSN'])
    assert root[0][1]['contextCSN']
    dn = 'cn=Someone,' + openldap.partners
    link.add_s(dn, [('objectClass', [b'inetOrgPerson']), ('sn', [b'S']),
                    ('labeledURI', [b'galrelay:x'])])
    link.delete_s(dn)
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        link.add_s('cn=Someone,' + openldap.staff,
                   [('objectClass', [b'inetOrgPerson']), ('sn', [b'S'])])


def test_people_are_distinct_and_the_same_every_time():
    for forest in people.NAMES:
        first = people.people(forest, 2000)
        assert first == people.people(forest, 2000)
        for name in ('cn', 'mail', 'sAMAccountName'):
            assert len({entry[name] for entry in first}) == 2000, name
