"""Guards, domains, and input that tries to be more than it is."""

import ldap

from testbed.star import staff_mails


def test_many_deletions_are_held_until_released(star, clean):
    north, south = clean['north'], clean['south']
    north.populate(80)
    source = star.join('north', north, export_extra='max_delete_percent = 100;'
                       '\n\t\tmax_delete_count = 1000;')
    target = star.join('south', south)
    star.sync()
    star.sync()
    star.expect_everyone()
    for dn in sorted(north.search(north.staff, '(mail=*)'))[:60]:
        north.delete(dn)
    added = north.add_person(120)
    source.export()
    held = target.fetch(expect=3)
    assert '60' in held.text
    left = target.contacts()
    assert len(left) >= 80      # nothing was deleted
    target.fetch(expect=3)
    target.do('release', 'partners')
    target.fetch()
    star.expect_everyone()
    assert north.read(added)


def test_many_deletions_are_held_at_the_source_too(star, clean):
    north, south = clean['north'], clean['south']
    north.populate(80)
    source, target = star.join('north', north), star.join('south', south)
    star.sync()
    star.sync()
    for dn in sorted(north.search(north.staff, '(mail=*)'))[:60]:
        north.delete(dn)
    source.export(expect=3)
    target.fetch()
    assert len(target.contacts()) == 80
    source.do('release', 'staff')
    source.export()
    target.fetch(expect=3)


def test_addresses_outside_the_members_domains_are_left_out(star, pair):
    north, south = pair
    north.ldap.add_person(50, cn='The Boss', mail='ceo@headquarters.example')
    north.ldap.add_person(51, cn='Half Boss', mail='half@north.example',
                          proxyAddresses=['SMTP:half@north.example',
                                          'smtp:boss@headquarters.example'])
    assert north.json('count', 'staff')['outside'] == 1
    star.sync()
    run = north.json('run', 'staff', '--full')
    assert run['outside'] == 1, run
    check = [row['text'] for row in north.json('check')
             if row['what'] == 'registry']
    assert 'domains allotted: north.example' in check[0], check
    rows = south.contacts()
    assert 'ceo@headquarters.example' not in rows
    for row in rows.values():
        for name in ('proxyAddresses', 'targetAddress', 'mail'):
            assert not any(b'headquarters' in v.lower()
                           for v in row.get(name, []))
    assert len(rows) in (20, 21)


def test_a_version_of_foreign_addresses_is_held_at_the_hub(star, clean):
    north, south = clean['north'], clean['south']
    north.populate(10)
    source, target = star.join('north', north), star.join('south', south)
    star.sync()
    star.sync()
    before = sorted(target.contacts())
    for number in range(70):
        north.add_person(200 + number, mail='p%d@elsewhere.example' % number)
    result = source.call('run', 'staff')
    assert result.status == 3, result
    target.fetch()
    assert sorted(target.contacts()) == before
    assert 'held' in star.hub.do('streams').text


NASTY = [
    'Quote "Double" O\'Single', 'Comma, Inc., "Ltd"', '#leading hash',
    'plus+equals=semi;colon', 'back\\slash\\5c', '<angle> & amp',
    'star * (paren) | pipe', 'emoji 🦊🚀 snow ☃', 'مدير المبيعات',
    'שלום עולם', 'ﬁ ligature ẞ İstanbul ı', 'nul-looking \\00 text',
    'e\u0301 combining accents a\u0308', 'zero\u200bwidth\u202eoverride',
]
LOCAL = ["o'brien", 'a*b', '(paren)', 'back\\slash', 'x|(objectClass=*)',
         'plus+tag', 'semi;colon', 'per%cent', 'am&per', 'eq=ual',
         '*)(uid=*', 'qu"ote', 'sp ace', 'ümlaut']


def test_nasty_names_arrive_unharmed(star, clean):
    north, south = clean['north'], clean['south']
    for number, name in enumerate(NASTY):
        north.add_person(number, cn=name, displayName=name,
                         mail='n%d@north.example' % number,
                         mailNickname='n%d' % number)
    long_name = 'Maximilian ' * 12
    north.add_person(40, cn='Long One', displayName=long_name.strip(),
                     mail='long@north.example', mailNickname='long')
    wide = '測' * 64
    north.add_person(41, cn=wide, displayName=wide,
                     mail='wide@north.example', mailNickname='wide')
    star.join('north', north)
    star.join('south', south)
    star.sync()
    star.sync()
    star.expect_everyone()
    rows = star.spokes[1].contacts()
    for number, name in enumerate(NASTY):
        row = rows['n%d@north.example' % number]
        assert row['displayName'] == [name.encode()], name
    assert rows['long@north.example']['displayName'] == [
        long_name.strip().encode()]
    assert rows['wide@north.example']['cn'] == [wide.encode()]
    units = south.search(south.partners, '(objectClass=organizationalUnit)')
    assert len(units) == 1


def test_nasty_addresses_never_become_filters(star, clean):
    north, south = clean['north'], clean['south']
    bystander = south.add_contact('Bystander', 'bystander@elsewhere.example')
    before = south.read(bystander)
    for number, local in enumerate(LOCAL):
        mail = local + '@north.example'
        north.add_person(number, cn='Nasty %d' % number, mail=mail,
                         mailNickname='nasty%d' % number)
    for number in range(60, 63):
        north.add_person(number)
    star.join('north', north)
    target = star.join('south', south)
    star.spokes[0].export(expect=(0, 4))
    target.fetch(expect=(0, 4))
    target.fetch(expect=(0, 4))
    rows = target.contacts()
    sent = set(staff_mails(north))
    assert set(rows) <= sent
    for local in LOCAL[:2] + LOCAL[5:6]:    # valid by RFC 5322
        assert local + '@north.example' in rows, local
    assert south.read(bystander) == before
    # A later change to each is applied to exactly that one.
    dn = 'CN=Nasty 1,' + north.staff
    north.modify(dn, title='Changed')
    star.spokes[0].export(expect=(0, 4))
    target.fetch(expect=(0, 4))
    changed = [mail for mail, row in target.contacts().items()
               if row.get('title') == [b'Changed']]
    assert changed == ['a*b@north.example']


def test_nul_and_blanks_from_openldap(star, clean, slapd_factory):
    source = slapd_factory('raw', domain='raw.example')
    source.add('cn=plain,' + source.staff, {
        'objectClass': 'inetOrgPerson', 'cn': 'plain', 'sn': 's',
        'displayName': b'Nul\0Byte', 'mail': 'nul@raw.example'})
    source.add('cn=\\20blank\\20,' + source.staff, {
        'objectClass': 'inetOrgPerson', 'cn': ' blank ', 'sn': 's',
        'displayName': ' leading and trailing ',
        'mail': 'blank@raw.example'})
    source.add('cn=fine,' + source.staff, {
        'objectClass': 'inetOrgPerson', 'cn': 'fine', 'sn': 's',
        'displayName': 'Fine', 'mail': 'fine@raw.example'})
    star.join('raw', source)
    target = star.join('south', clean['south'])
    star.spokes[0].export(expect=(0, 4))
    target.fetch(expect=(0, 4))
    result = target.fetch(expect=(0, 4))
    rows = target.contacts()
    assert {'fine@raw.example', 'blank@raw.example'} <= set(rows)
    assert rows['blank@raw.example']['cn'][0].strip() == b'blank'
    if 'nul@raw.example' in rows:
        assert b'\0' not in rows['nul@raw.example']['displayName'][0]
    else:
        assert result.status == 4
        assert 'displayName' in result.text or 'NUL' in result.text


def test_the_target_never_lets_us_outside(star, pair):
    """Were the import OU wrong, the directory's rights still hold."""
    north, south = pair
    text = None
    path = south.directory + '/policies.d/staff.conf'
    with open(path) as f:
        text = f.read()
    with open(path, 'w') as out:
        out.write(text.replace('into = "' + south.ldap.partners,
                               'into = "' + south.ldap.staff))
    north.ldap.add_person(130)
    north.export()
    result = south.call('run', 'partners')
    assert result.status in (1, 3, 4), result
    rows = south.ldap.link.search_s(south.ldap.staff, ldap.SCOPE_SUBTREE,
                                    '(objectClass=contact)')
    assert rows == []
