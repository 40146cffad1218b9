"""Who is exported as what, and with which attributes: on real directories."""

import json
import os
import struct
import subprocess
import time

import ldap
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('GALRELAY_BUILD', os.path.join(ROOT, 'build'))
PROBE = os.path.join(BUILD, 'tests', 'forest', 'spoke_collect_probe')
CONF = '''name = "NORTH";
state = "{home}";
directory = {{
	uri = [ "{uri}" ];
	ca = "{ca}";
	user = "{who}";
	password_file = "{secret}";
	{extra}
}};
'''
POLICY = '''export: ( {{
	name = "staff";
	from = ( {{ ou = "{staff}"; }} );
	max_delete_percent = 100;
	{extra}
}} );
'''
PICTURE = 102400


class Source:
    """An export policy over the Staff OU."""

    def __init__(self, directory, tmp_path, extra='', directory_extra=''):
        self.directory, self.home = directory, str(tmp_path)
        password = os.path.join(self.home, 'password')
        directory.write_secret(password, directory.service_password)
        self.conf = os.path.join(self.home, 'spoke.conf')
        with open(self.conf, 'w') as out:
            out.write(CONF.format(
                home=self.home, uri=directory.uri, ca=directory.ca,
                who=directory.service_dn, secret=password,
                extra=directory_extra))
        os.makedirs(os.path.join(self.home, 'policies.d'), exist_ok=True)
        self.policy(extra)
        self.now = int(time.time() * 1000)

    def policy(self, extra=''):
        with open(os.path.join(self.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(POLICY.format(staff=self.directory.staff, extra=extra))

    def run(self, *more, expect=0):
        self.now += 1000
        done = subprocess.run(
            [PROBE, self.conf, 'staff', os.path.join(self.home, 'own.db'),
             str(self.now), *more], capture_output=True, text=True,
            timeout=60)
        self.log = done.stderr
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def read(self, *more):
        """{primary address: object}, values as bytes."""
        self.said = json.loads(self.run('dump', *more))
        found = {}
        for entry in self.said['objects']:
            entry['attributes'] = {
                name: [bytes.fromhex(value) for value in values]
                for name, values in entry['attributes'].items()}
            found[entry['attributes']['mail'][0].decode()] = entry
        return found

    def tool(self, *words, expect=0):
        done = subprocess.run(
            [os.path.join(BUILD, 'galspoke'), '--config', self.conf, *words],
            capture_output=True, text=True, timeout=60)
        assert done.returncode in (
            expect if isinstance(expect, tuple) else (expect,)), (
            done.stdout + done.stderr)
        return done.stdout + done.stderr

    def count(self):
        return json.loads(self.tool('count', '--json', 'staff'))


def sid(*parts):
    """A binary SID of S-1-5-parts."""
    return (bytes((1, len(parts), 0, 0, 0, 0, 0, 5)) +
            b''.join(struct.pack('<I', part) for part in parts))


def account(directory, number, **more):
    """Someone in the Staff OU; returns (DN, primary address)."""
    dn = directory.add_person(number, **more)
    return dn, directory.read(dn, ['mail'])['mail'][0].decode()


def test_what_somebody_is(clean, tmp_path):
    """Mailboxes of every type, and mail users, as what they are."""
    d = clean['north']
    # Of some types nobody logs on: their accounts are disabled.
    types = {1: '544', 2: '546', 4: '546', 16: '546', 32: '546', 128: '544',
             2147483648: '544', 8589934592: '546', 34359738368: '546'}
    mails = {}
    for number, (kind, control) in enumerate(types.items()):
        mails[kind] = account(
            d, number, msExchRecipientTypeDetails=str(kind),
            userAccountControl=control,
            targetAddress='SMTP:x%d@north.mail.onmicrosoft.com' % number)
    disabled = account(d, 20, userAccountControl='546')
    plain = account(d, 21)
    for number, kind in enumerate((8388608, 536870912, 549755813888, 16384)):
        account(d, 30 + number, msExchRecipientTypeDetails=str(kind))
    d.add_group('List', 'list@north.example')
    d.add_contact('Outside', 'ext@other.example')
    d.add('CN=Only Target,' + d.staff, {
        'objectClass': 'contact', 'cn': 'Only Target',
        'targetAddress': 'SMTP:only@other.example'})
    source = Source(d, tmp_path)
    seen = source.read()
    assert set(seen) == {m for _, m in mails.values()} | {
        disabled[1], plain[1], 'list@north.example', 'ext@other.example',
        'only@other.example'}
    for kind, (_, mail) in mails.items():
        assert seen[mail]['type'] == kind and seen[mail]['kind'] == 'user'
        # By its primary address, wherever the mailbox is.
        assert seen[mail]['attributes']['targetAddress'] == [
            b'SMTP:' + mail.encode()]
    assert seen['list@north.example']['kind'] == 'group'
    assert seen['list@north.example']['attributes']['groupType'] == [b'8']
    assert seen['ext@other.example']['kind'] == 'contact'
    kinds = source.count()['kinds']
    assert kinds['other']['system'] == 4 and kinds['user']['system'] == 0
    source.policy('disabled = false;')
    assert set(seen) - set(source.read()) == {disabled[1]}
    assert source.count()['kinds']['user']['disabled'] == 1
    assert 'disabled account' in source.tool('explain', disabled[1])
    source.policy('forwarded = "target";')
    for mail, entry in source.read().items():
        target = entry['attributes']['targetAddress'][0]
        assert target.endswith(b'onmicrosoft.com') == (mail in {
            m for _, m in mails.values()}), mail


def test_the_presets_and_what_a_policy_names(clean, tmp_path):
    d = clean['north']
    picture = os.urandom(PICTURE)
    more = {
        'displayNamePrintable': 'Anna', 'employeeID': '7',
        'employeeNumber': '8', 'employeeType': 'staff', 'homePhone': '+1',
        'info': 'two\r\nlines', 'initials': 'A', 'ipPhone': '1',
        'pager': '2', 'personalTitle': 'Dr.', 'postOfficeBox': ['1', '2'],
        'st': 'S', 'wWWHomePage': 'http://x', 'countryCode': '752',
        'facsimileTelephoneNumber': '+2', 'description': 'd',
        'mobile': '+3', 'msDS-PhoneticDisplayName': 'P',
        'msDS-PhoneticFirstName': 'F', 'msDS-PhoneticLastName': 'L',
        'msDS-PhoneticCompanyName': 'C', 'msDS-PhoneticDepartment': 'D',
        'msExchAssistantName': 'Bo', 'telephoneAssistant': '+4',
        'userSMIMECertificate': b'\x30\x00\xff', 'thumbnailPhoto': picture,
        'msRTCSIP-PrimaryUserAddress': 'sip:a@north.example',
        'msRTCSIP-UserEnabled': 'TRUE', 'msRTCSIP-OptionFlags': '257',
        'msRTCSIP-OriginatorSid': sid(21, 1, 2, 3, 500),
        'roomNumber': 'R 1', 'adminDescription': 'private',
        'secretary': d.service_dn}
    more.update(('extensionAttribute%d' % n, 'e%d' % n)
                for n in range(1, 16))
    minimal_lacks = {
        'employeeID', 'employeeNumber', 'employeeType', 'homePhone', 'info',
        'description', 'thumbnailPhoto'} | {
            'extensionAttribute%d' % n for n in range(1, 16)}
    named = {'msRTCSIP-PrimaryUserAddress', 'msRTCSIP-UserEnabled',
             'msRTCSIP-OptionFlags'}
    never_asked = named | {'msRTCSIP-OriginatorSid', 'roomNumber',
                           'adminDescription', 'secretary'}
    _, mail = account(d, 1, **more)
    source = Source(d, tmp_path)

    def names(extra):
        source.policy(extra)
        return set(source.read()[mail]['attributes'])

    full = names('')
    assert full >= (set(more) - never_asked) | {
        'cn', 'sn', 'givenName', 'proxyAddresses', 'targetAddress', 'mail',
        'mailNickname', 'legacyExchangeDN', 'company', 'department', 'l',
        'title', 'c', 'co', 'postalCode', 'streetAddress',
        'physicalDeliveryOfficeName', 'telephoneNumber', 'displayName'}
    assert not full & never_asked
    assert not full & {'objectSid', 'userAccountControl', 'memberOf',
                       'sAMAccountName', 'objectGUID'}
    seen = source.read('full')[mail]
    assert seen['attributes']['thumbnailPhoto'] == [picture]
    assert seen['attributes']['info'] == [b'two\r\nlines']
    assert seen['attributes']['userSMIMECertificate'] == [b'\x30\x00\xff']
    assert seen['dn'].endswith(d.staff)
    assert full - names('attributes = "minimal";') == minimal_lacks
    assert names('attributes = "minimal"; allow = [ "info" ];') == (
        full - minimal_lacks | {'info'})
    # A star takes what may go, and the SID among them stays.
    assert names('allow = [ "msRTCSIP-*", "roomNumber" ];') == (
        full | named | {'roomNumber'})
    # What is denied stays, named or not.
    assert names('allow = [ "msRTCSIP-*" ]; deny = [ "thumbnailPhoto", '
                 '"msrtcsip-option*", "extensionAttribute1" ];') == (
        full - {'thumbnailPhoto', 'extensionAttribute1'}
        | named - {'msRTCSIP-OptionFlags'})
    # No SID comes along with a name.
    for lists in ('true', 'false'):
        source.policy('allow = [ "secretary" ]; memberships = %s;' % lists)
        assert source.read()[mail]['attributes']['secretary'] == [
            d.service_dn.encode()]
    source.policy('source_dn = false; allow = [ "msRTCSIP-*" ];')
    assert len(source.read()[mail]['dn']) == 32


@pytest.mark.parametrize('extra,words', [
    ('allow = [ "titel" ];', ('allow', 'unknown attribute titel')),
    ('allow = [ "msRTCSIP-X*" ];', ('allow', 'unknown attribute')),
    ('deny = [ "homePhon" ];', ('deny', 'unknown attribute homePhon')),
    ('mark_attribute = "nosuch";', ('mark_attribute', 'nosuch')),
    ('foreign_marks = [ "nosuch=x" ];', ('foreign_marks', 'nosuch')),
    # By the schema: computed, far end of a link, SID, security descriptor,
    # not replicated.
    ('allow = [ "canonicalName" ];', ('allow', 'canonicalName', 'server')),
    ('allow = [ "ownerBL" ];', ('allow', 'ownerBL', 'link')),
    ('allow = [ "msRTCSIP-OriginatorSid" ];', ('allow', 'SID')),
    ('allow = [ "fRSRootSecurity" ];', ('fRSRootSecurity', 'rights')),
    ('allow = [ "badPwdCount" ];', ('allow', 'server')),
    ('allow = [ "msDS-AllowedToDelegateTo", "logonCount" ];',
     ('logonCount', 'server')),
    ('allow = [ "secretary" ]; source_dn = false;', ('allow', 'names')),
    # By name, before any server is asked.
    ('allow = [ "manager" ];', ('allow', 'manager = true')),
    ('allow = [ "unicodePwd" ];', ('allow', 'unicodePwd', 'credentials')),
    ('allow = [ "privateKey" ];', ('privateKey', 'credentials')),
    ('allow = [ "linkTrackSecret" ];', ('linkTrackSecret', 'credentials')),
    ('allow = [ "nTSecurityDescriptor" ];', ('allow', 'rights')),
    ('deny = [ "proxyAddresses" ];', ('deny', 'contacts need it')),
])
def test_what_no_policy_can_name(clean, tmp_path, extra, words):
    d = clean['north']
    account(d, 1)
    source = Source(d, tmp_path, extra)
    said = source.run(expect=1)
    for word in words:
        assert word.lower() in said.lower(), said
    said = source.tool('check', expect=1)
    assert words[0].lower() in said.lower(), said


def test_what_the_schema_calls_confidential(clean, tmp_path):
    """searchFlags 128 on an attribute that anybody might name."""
    d = clean['north']
    schema = 'CN=Schema,CN=Configuration,' + d.base
    (dn, entry), = d.search(schema, '(lDAPDisplayName=roomNumber)',
                            ['searchFlags']).items()
    before = entry['searchFlags'][0]
    account(d, 1, roomNumber='R 1')
    source = Source(d, tmp_path, 'allow = [ "roomNumber" ];')
    assert [e['attributes']['roomNumber'] for e in source.read().values()
            ] == [[b'R 1']]
    d.modify(dn, searchFlags=str(int(before) | 128))
    try:
        said = source.run('full', expect=1)
        assert 'roomNumber' in said and 'confidential' in said
    finally:
        d.modify(dn, searchFlags=before)


def test_values_are_clean(clean, tmp_path):
    d = clean['north']
    _, fine = account(d, 1)
    _, odd = account(
        d, 2, title='a\tb\x01  c', mail='odd@north.example',
        proxyAddresses=['SMTP:odd@north.example', 'SMTP:two@north.example',
                        'smtp:not an address', 'smtp:a@b@c.example',
                        'X400:c=us;a= ;p=x;', 'sip:odd@north.example',
                        'sip:alt@north.example'],
        legacyExchangeDN='/o=North/cn=odd')
    _, large = account(d, 3, thumbnailPhoto=b'p' * PICTURE)
    source = Source(d, tmp_path)
    seen = source.read()
    entry = seen[odd]['attributes']
    assert entry['title'] == [b'a b c']
    assert entry['proxyAddresses'] == sorted([
        b'SMTP:odd@north.example', b'smtp:two@north.example',
        b'sip:alt@north.example', b'X500:/o=North/cn=odd'])
    assert seen[large]['attributes']['thumbnailPhoto'] == [b'p' * PICTURE]
    assert source.log.count('value not exported') == 3
    assert 'no mail address' in source.log
    said = source.count()
    assert said['dropped'] == {'address': 2, 'picture': 0, 'large': 0,
                               'text': 0, 'sip': 1, 'other': 1}
    said = source.tool('explain', odd)
    for why in ('no mail address: not an address',
                'another sip address goes out: sip:odd@north.example',
                'an address that means nothing elsewhere: X400:c=us;'):
        assert 'without one proxyAddresses: ' + why in said
    assert 'without one' not in source.tool('explain', fine)
    assert '2 values left out: no mail address' in source.tool(
        'count', 'staff')


def test_a_picture_above_the_cap(openldap, tmp_path):
    """slapd's schema sets no limit; ours is dropped, never cut."""
    d = openldap
    d.add_person(1, jpegPhoto=b'\xff\xd8' + os.urandom(PICTURE - 2))
    d.add_person(2, jpegPhoto=b'\xff\xd8' + os.urandom(PICTURE - 1))
    source = Source(d, tmp_path)
    sizes = sorted(len(e['attributes'].get('thumbnailPhoto', [b''])[0])
                   for e in source.read().values())
    assert sizes == [0, PICTURE]
    assert 'attribute=thumbnailPhoto octets=%d' % (PICTURE + 1) in source.log
    assert source.count()['dropped']['picture'] == 1
    source.policy('deny = [ "jpegPhoto" ];')
    assert not any('thumbnailPhoto' in e['attributes']
                   for e in source.read().values())
    assert source.said['modified'] == 1


def test_openldap_marks_and_names(openldap, tmp_path):
    d = openldap
    _, plain = account(d, 1, roomNumber=['7', '70'], employeeNumber='8',
                       userPassword='secret', title=['Dr.', 'Prof.'])
    _, marked = account(d, 2, businessCategory=['x', 'nogalsync'])
    _, other = account(d, 3, carLicense='Keep Here')
    _, foreign = account(d, 4, employeeType='synced-by-x/1')
    source = Source(d, tmp_path)
    assert set(source.read()) == {plain, other, foreign}
    assert 'marked not to be exported' in source.tool('explain', marked)
    source.policy('mark = "keep here"; mark_attribute = "carLicense"; '
                  'foreign_marks = [ "employeeType=synced-by-*" ]; '
                  'allow = [ "roomNumber" ]; deny = [ "employeeNumber" ];')
    seen = source.read()
    assert set(seen) == {plain, marked}
    # Of what Active Directory has one value of, the first goes.
    assert seen[plain]['attributes']['roomNumber'] == [b'7', b'70']
    assert seen[plain]['attributes']['title'] == [b'Dr.']
    assert 'employeeNumber' not in seen[plain]['attributes']
    assert not any('userPassword' in e['attributes'] for e in seen.values())
    assert 'imported by another product' in source.tool('explain', foreign)
    # Other names of the same attribute, and beginnings of such names.
    source.policy('mark = "8"; mark_attribute = "mobileTelephoneNumber"; '
                  'foreign_marks = [ "pagerTelephoneNumber=+7*" ];')
    d.modify(d.search(d.staff, '(carLicense=Keep Here)', ['1.1']).popitem()[0],
             mobile='8')
    d.modify(d.search(d.staff, '(employeeType=synced-*)',
                      ['1.1']).popitem()[0], pager='+7 1')
    assert set(source.read()) == {plain, marked}
    d.modify(d.search(d.staff, '(roomNumber=7)', ['1.1']).popitem()[0],
             facsimileTelephoneNumber='+1', jpegPhoto=b'p')
    source.policy()
    assert {'facsimileTelephoneNumber', 'thumbnailPhoto'} <= set(
        source.read()[plain]['attributes'])
    source.policy('deny = [ "fax", "jpeg*" ]; allow = [ "gn" ];')
    assert not {'facsimileTelephoneNumber', 'thumbnailPhoto'} & set(
        source.read()[plain]['attributes'])
    for name in ('uid', 'surn*', 'rfc822Mailbox'):
        source.policy('deny = [ "%s" ];' % name)
        assert 'need it' in source.run(expect=1)
    source.policy('deny = [ "jpge*" ];')
    assert 'unknown attribute jpge*' in source.run(expect=1)
    for name, words in (('creatorsName', 'server'), ('entryCSN', 'server'),
                        ('pwdFailureTime', 'unknown attribute'),
                        ('hasSubordinates', 'server'),
                        ('userPassword', 'credentials')):
        source.policy('allow = [ "%s" ];' % name)
        said = source.run(expect=1)
        assert name in said and words in said, said
    source.policy('allow = [ "thumbnailPhoto", "department" ];')
    source.read()


def test_what_others_imported(clean, tmp_path):
    d = clean['north']
    moved = d.add_contact('Ours', 'ours@west.example',
                          extensionName='galrelay:00:WEST:11')
    d.add_contact('Bare', 'bare@west.example', legacyExchangeDN=(
        '/o=galrelay/ou=contacts/cn=recipients/cn=%s-WEST' % ('0f' * 16)))
    d.add_contact('Identity Manager', 'mim@east.example',
                  msExchOriginatingForest='east.example',
                  msExchRecipientTypeDetails='32768')
    d.add_contact('Quest', 'quest@east.example',
                  adminDescription='QuestSync/77')
    d.add_contact('Ordinary', 'ext@other.example')
    _, somebody = account(d, 1, msExchOriginatingForest='north.example')
    source = Source(d, tmp_path)
    assert set(source.read()) == {'quest@east.example', 'ext@other.example',
                                  somebody}
    contacts = source.count()['kinds']['contact']
    assert (contacts['own'], contacts['foreign']) == (2, 1)
    source.policy('foreign_marks = [ "adminDescription=questsync*" ];')
    assert set(source.read()) == {'mim@east.example', 'ext@other.example',
                                  somebody}
    source.policy('foreign_marks = [];')
    assert set(source.read()) == {'mim@east.example', 'quest@east.example',
                                  'ext@other.example', somebody}
    assert 'imported by galrelay' in source.tool('explain',
                                                 'ours@west.example')
    # Wherever somebody moves it.
    d.rename(moved, 'CN=Mine', d.staff)
    assert 'ours@west.example' not in source.read('full')


def test_who_is_hidden(clean, tmp_path):
    d = clean['north']
    _, shown = account(d, 1)
    _, hidden = account(d, 2, msExchHideFromAddressLists='TRUE')
    account(d, 3, msExchHideFromAddressLists='TRUE',
            extensionAttribute1='NoGALsync')
    source = Source(d, tmp_path)
    assert set(source.read()) == {shown}
    assert source.count()['kinds']['user']['hidden'] == 1
    assert 'hidden from address lists' in source.tool('explain', hidden)
    # Asked for they go out, and targets are told.
    source.policy('hidden = true;')
    seen = source.read()
    assert set(seen) == {shown, hidden}
    assert seen[hidden]['attributes']['msExchHideFromAddressLists'] == [
        b'TRUE']
    assert 'msExchHideFromAddressLists' not in seen[shown]['attributes']
    assert source.count()['kinds']['user']['hidden'] == 0
    source.policy()
    assert set(source.read()) == {shown}


def test_closed_to_outsiders(clean, tmp_path):
    d = clean['north']
    boss_dn, boss = account(d, 1)
    _, closed = account(d, 2, msExchRequireAuthToSendTo='TRUE')
    _, few = account(d, 3, authOrig=boss_dn)
    group = d.add_group('Board', 'board@north.example', [boss_dn])
    d.modify(group, dLMemSubmitPerms=group)
    source = Source(d, tmp_path)
    everybody = {boss, closed, few, 'board@north.example'}
    seen = source.read()
    assert set(seen) == everybody
    assert source.log.count('closed to outsiders') == 3
    assert not any({'authOrig', 'dLMemSubmitPerms'} & set(e['attributes'])
                   for e in seen.values())
    said = source.count()
    assert said['objects'] == 4 and len(said['closed']) == 3
    assert group in said['closed']
    assert 'closed to outsiders: ' + group in source.tool('count', 'staff')
    assert 'exported although closed to outsiders' in source.tool(
        'explain', few)
    source.policy('closed = "leave-out";')
    assert set(source.read()) == {boss}
    said = source.count()
    assert said['closed'] == [] and (
        said['kinds']['user']['closed'],
        said['kinds']['group']['closed']) == (2, 1)
    source.policy('closed = "include";')
    assert set(source.read()) == everybody
    assert 'closed to outsiders' not in source.log


def test_delegation(clean, tmp_path):
    d = clean['north']
    mailbox, mail = account(d, 1)
    # A linked mailbox: disabled, and another forest's account is its master.
    master, self_sid = sid(21, 9, 9, 9, 1105), sid(10)
    _, linked = account(d, 2, msExchMasterAccountSid=master,
                        msExchRecipientTypeDetails='2',
                        userAccountControl='546')
    _, shared = account(d, 3, msExchMasterAccountSid=self_sid,
                        msExchRecipientTypeDetails='4',
                        userAccountControl='546')
    _, gone = account(d, 4, userAccountControl='546')
    group = d.add_group('Rights', 'rights@north.example')
    d.modify(group, groupType='-2147483640')
    d.add_group('List', 'list@north.example')
    d.add_contact('Outside', 'ext@other.example')
    source = Source(d, tmp_path)
    sids = {dn: d.read(dn, ['objectSid'])['objectSid'] for dn in (
        mailbox, group)}

    def carried():
        return {m: e['attributes'].get('msExchMasterAccountSid')
                for m, e in source.read().items()}

    assert set(carried().values()) == {None}
    assert source.read('full')[mail]['attributes'][
        'msExchRecipientDisplayType'] == [b'0']
    source.policy('delegation = true;')
    assert carried() == {
        mail: sids[mailbox], linked: [master], shared: None, gone: None,
        'rights@north.example': sids[group], 'list@north.example': None,
        'ext@other.example': None}
    assert source.read('full')[mail]['attributes'][
        'msExchRecipientDisplayType'] == [b'1073741824']


def test_a_policy_that_changes_is_read_whole(clean, tmp_path):
    d = clean['north']
    d.populate(3)
    source = Source(d, tmp_path)
    source.read()
    assert source.read() and source.said['unchanged'] == 1
    for extra in ('hidden = true;', 'disabled = false;',
                  'mark = "other";', 'closed = "include";',
                  'forwarded = "target";', 'source_dn = false;',
                  'delegation = true;', 'mark_attribute = "info";',
                  'foreign_marks = [];', 'deny = [ "title" ];',
                  'attributes = "minimal";', ''):
        source.policy(extra)
        source.read()
        assert source.said['whole'] and not source.said['unchanged'], extra
    assert source.read() and source.said['unchanged'] == 1


def test_without_exchange(clean, tmp_path):
    """mail makes a recipient; a mark has to stand elsewhere."""
    d = clean['north']
    _, plain = account(d, 1, proxyAddresses=None, mailNickname=None,
                       legacyExchangeDN=None,
                       msExchRecipientTypeDetails=None)
    _, marked = account(d, 2, info='NoGALsync')
    source = Source(d, tmp_path, 'mark_attribute = "info";',
                    'dialect = "ad";')
    seen = source.read()
    assert set(seen) == {plain}
    assert seen[plain]['attributes']['proxyAddresses'] == [
        b'SMTP:' + plain.encode()]
    assert 'marked' in source.tool('explain', marked)


def test_more_addresses_than_are_carried(clean, tmp_path):
    """The primary one is never among those that stay, nor does the order in
    which they were written decide."""
    d = clean['north']
    many = ['smtp:many%04d@north.example' % i for i in range(1200)]
    dn, mail = account(d, 1, proxyAddresses=many + [
        'X500:/o=Old/cn=many', 'SMTP:the.one@north.example'])
    source = Source(d, tmp_path)
    first = source.read()['the.one@north.example']['attributes']
    assert first['targetAddress'] == [b'SMTP:the.one@north.example']
    proxies = first['proxyAddresses']
    assert b'SMTP:the.one@north.example' in proxies
    assert b'X500:/o=Old/cn=many' in proxies
    assert sum(value.startswith(b'smtp:') for value in proxies) == 1023
    assert source.count()['dropped']['large'] == len(many) - 1023
    d.modify(dn, proxyAddresses=None)
    d.modify(dn, proxyAddresses=['SMTP:the.one@north.example'] + many[::-1] + [
        'X500:/o=Old/cn=many'])
    source.read()
    assert not source.said['unchanged'] and source.said['modified'] == 0
