"""What a directory keeps of what is written, read back and compared."""

EVERYTHING = {
    'c': 'SE', 'co': 'Sweden', 'countryCode': '752', 'company': 'Ångström AB',
    'department': 'Legal & Compliance', 'description': 'one',
    'displayNamePrintable': 'Printable', 'employeeID': '007',
    'employeeNumber': '42', 'employeeType': 'staff',
    'extensionAttribute1': 'UPPER lower', 'extensionAttribute15': 'ß ẞ',
    'facsimileTelephoneNumber': '+46 8 1', 'givenName': 'É́va',
    'homePhone': '+46 (8) 2', 'info': 'two\r\nlines', 'initials': 'AB',
    'ipPhone': '1', 'mobile': '+46\u00a070', 'pager': '3',
    'personalTitle': 'Dr', 'physicalDeliveryOfficeName': 'B 1',
    'postOfficeBox': ['P 1', 'P 2'], 'postalCode': '111 43', 'st': 'Uppland',
    'streetAddress': 'Kungsgatan 1\r\n3 tr', 'title': '  spaces  within  ',
    'wWWHomePage': 'https://north.example/?a=b&c',
}


def mark(spoke, mail):
    return spoke.contacts(['mail', 'uSNChanged'])[mail]['uSNChanged']


def test_everything_is_written_once(star, clean):
    north, south = clean['north'], clean['south']
    north.add_person(1, cn='Every Thing', mail='every@north.example',
                     mailNickname='every', **EVERYTHING)
    north.add_contact('Out Side', 'outside@north.example')
    star.join('north', north)
    target = star.join('south', south)
    star.sync()
    star.sync()
    contact = target.contacts()['every@north.example']
    for name in ('company', 'extensionAttribute15', 'postOfficeBox', 'mobile',
                 'streetAddress', 'countryCode'):
        assert name in contact, name
    before = mark(target, 'every@north.example')
    for _ in range(2):
        target.do('run', '--full', 'partners')
        assert mark(target, 'every@north.example') == before


def test_names_alike_but_for_accents_are_both_there(star, clean):
    north, south = clean['north'], clean['south']
    names = ['Jose Garcia', 'José García', 'Straße', 'Strasse', 'Muller',
             'Müller']
    for number, name in enumerate(names):
        north.add_person(number, cn=name, displayName=name,
                         mail='a%d@north.example' % number,
                         mailNickname='a%d' % number)
    star.join('north', north)
    target = star.join('south', south)
    star.sync()
    star.sync()
    rows = target.contacts()
    assert len(rows) == len(names)
    assert [rows['a%d@north.example' % i]['displayName'][0].decode()
            for i in range(len(names))] == names
    # A directory that ignores accents takes them all, too.
    assert sorted(row['cn'][0].decode().endswith(' (2)')
                  for row in rows.values()) == [False] * 3 + [True] * 3


def test_nobody_takes_over_an_x500_address(star, clean):
    north, south = clean['north'], clean['south']
    boss = south.read(south.add_person(7, cn='The Boss'),
                      ['legacyExchangeDN'])['legacyExchangeDN'][0].decode()
    north.add_person(1, mail='thief@north.example', proxyAddresses=[
        'SMTP:thief@north.example', 'X500:' + boss.upper(),
        'X500:/o=Old/cn=thief'])
    star.join('north', north)
    target = star.join('south', south)
    star.sync()
    star.sync()
    proxies = target.contacts()['thief@north.example']['proxyAddresses']
    assert b'X500:/o=Old/cn=thief' in proxies
    assert not any(boss.lower() in p.decode().lower() for p in proxies)


def test_an_accepted_revocation_takes_its_contacts_away(star, three):
    north, south, west = three
    had, others = set(south.contacts()), set(west.contacts())
    star.hub.do('revoke', 'NORTH')
    star.eventually(lambda: _held(south))
    assert set(south.contacts()) == had
    south.do('members', '--release', 'NORTH')
    south.fetch()
    assert set(south.contacts()) == {
        mail for mail in had if not mail.endswith('@north.example')}
    # West has not accepted it.
    west.call('run', 'partners')
    assert set(west.contacts()) == others


def _held(spoke):
    assert spoke.call('run', 'partners').status == 3


def test_status_names_what_the_directory_refused(star, pair):
    north, south = pair
    moved = next(iter(south.contacts().values()))['dn'][0].decode()
    south.ldap.rename(moved, 'CN=Moved Away', south.ldap.staff)
    south.do('run', '--full', 'partners')
    assert 'detached' in south.do('status').text
    policies = south.json('status')['policies']
    notes = [note for policy in policies for note in policy.get('notes', [])]
    assert [note['kind'] for note in notes] == ['detached']
    assert notes[0]['member'] == 'NORTH'
