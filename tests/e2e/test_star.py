"""The main job: forests share one address list."""

import json

import ldap

from testbed.star import staff_mails

# What every contact of a mailbox user carries in a forest with Exchange.
CONTACT = ('cn displayName givenName sn mail mailNickname targetAddress '
           'proxyAddresses legacyExchangeDN company department title '
           'telephoneNumber streetAddress l postalCode internetEncoding '
           'msExchPoliciesExcluded msExchRecipientDisplayType '
           'msExchRecipientTypeDetails msExchOriginatingForest '
           'extensionName').split()


def numbers(spoke):
    """uSNChanged of everything in the import OU: changes with any write."""
    return {mail: entry['uSNChanged'] for mail, entry in
            spoke.contacts(['mail', 'uSNChanged']).items()}


def test_three_forests(star, three):
    north, south, west = three
    contact = south.contacts()[staff_mails(north.ldap)[3]]
    for name in CONTACT:
        assert name in contact, name
    source = north.ldap.search(
        north.ldap.staff, '(mail=%s)' % contact['mail'][0].decode())
    user = next(iter(source.values()))
    for name in ('displayName', 'title', 'company', 'telephoneNumber', 'l'):
        assert contact[name] == user[name], name
    assert contact['targetAddress'] == [b'SMTP:' + user['mail'][0]]
    assert b'X500:' + user['legacyExchangeDN'][0] in contact['proxyAddresses']
    assert contact['msExchRecipientTypeDetails'] == [b'64']
    assert contact['msExchOriginatingForest'] == [b'north.example']


def test_changes_arrive_and_nothing_else_is_written(star, three):
    north, south, west = three
    before = {spoke: numbers(spoke) for spoke in (south, west)}
    mails = staff_mails(north.ldap)
    rows = {e['mail'][0].decode(): dn for dn, e in north.ldap.search(
        north.ldap.staff, '(mail=*)', ['mail']).items()}
    north.ldap.modify(rows[mails[0]], title='Chief Astronomer')
    north.ldap.delete(rows[mails[1]])
    north.ldap.add_person(90, mail='new.one@north.example', cn='New One')
    star.sync()
    for spoke in (south, west):
        after = numbers(spoke)
        gone, new = mails[1], 'new.one@north.example'
        assert set(before[spoke]) - set(after) == {gone}
        assert set(after) - set(before[spoke]) == {new}
        changed = {mail for mail in before[spoke] if mail in after
                   and before[spoke][mail] != after[mail]}
        assert changed == {mails[0]}
        assert spoke.contacts()[mails[0]]['title'] == [b'Chief Astronomer']
    star.expect_everyone()


def test_an_unchanged_cycle_writes_and_sends_nothing(star, three):
    before = [numbers(spoke) for spoke in three]
    names = {spoke: star.hub.box(spoke.member, 'in').names()
             for spoke in three}
    sent = star.wire.total()
    for spoke in three:
        spoke.export()
        assert spoke.box('out').names() == []
        spoke.fetch()
    assert [numbers(spoke) for spoke in three] == before
    assert {spoke: star.hub.box(spoke.member, 'in').names()
            for spoke in three} == names
    # Six connections: their CURVE handshakes, and no envelope.
    assert star.wire.total() - sent < 6 * 4096


def test_the_hub_knows_at_once_what_was_written(star, pair):
    """An import that wrote says so by itself, and says nothing twice."""
    wanted = {spoke.member: len(spoke.contacts()) for spoke in pair}
    assert any(wanted.values())

    def told():
        assert wanted == {row['name']: row['applied']
                          for row in star.hub.json('members')['members']}
    star.eventually(told)


def test_own_objects_never_come_back(star, pair):
    north, south = pair
    assert north.contacts() == {}
    south.ldap.populate(5)
    star.sync()
    assert not set(north.contacts()) & set(staff_mails(north.ldap))
    star.expect_everyone()


def test_an_address_that_the_target_has_is_not_imported(star, clean):
    north, south = clean['north'], clean['south']
    mails = [north.add_person(n) and None for n in range(5)]
    mails = staff_mails(north)
    own = south.add_contact('Known Already', mails[2])
    before = south.read(own)
    spokes = star.join('north', north), star.join('south', south)
    star.sync()
    star.sync()
    star.expect(spokes[1], [m for m in mails if m != mails[2]])
    assert south.read(own) == before


def test_clashing_names_get_serial_numbers(star, clean):
    north, west, south = clean['north'], clean['west'], clean['south']
    for forest in (north, west):
        forest.add_person(cn='Maria Svensson', displayName='Maria Svensson',
                          mail='maria@%s' % forest.domain,
                          mailNickname='maria')
    for forest in (north, west, south):
        star.join(forest.name, forest)
    star.sync()
    star.sync()
    rows = star.spokes[2].contacts()
    assert set(rows) == {'maria@north.example', 'maria@west.example'}
    for name in ('cn', 'mailNickname'):
        values = {row[name][0].lower() for row in rows.values()}
        assert len(values) == 2, (name, values)
    assert {row['displayName'][0] for row in rows.values()} == {
        b'Maria Svensson'}


def test_moved_inside_stays_managed_moved_out_is_detached(star, pair):
    north, south = pair
    forest = south.ldap
    inside = forest.add('OU=Berlin,' + forest.partners, {
        'objectClass': 'organizationalUnit'})
    first, second = sorted(south.contacts().items())[:2]
    forest.rename(first[1]['dn'][0].decode(), 'CN=' + 'Inside', inside)
    forest.rename(second[1]['dn'][0].decode(), 'CN=Outside', forest.staff)
    outside = 'CN=Outside,' + forest.staff
    frozen = forest.read(outside)
    for mail in (first[0], second[0]):
        dn = next(iter(north.ldap.search(north.ldap.staff,
                                         '(mail=%s)' % mail)))
        north.ldap.modify(dn, title='Promoted')
    star.sync()
    rows = south.contacts()
    assert rows[first[0]]['title'] == [b'Promoted']
    assert rows[first[0]]['dn'][0].endswith(inside.encode())
    assert second[0] not in rows
    assert forest.read(outside) == frozen
    # The contact outside is ours no more: even its end does not touch it.
    north.ldap.delete(dn)
    star.sync()
    assert forest.read(outside) == frozen
    # Nor does it travel back as someone of the south.
    assert second[0] not in north.contacts()


def test_entries_without_our_mark_are_never_touched(star, pair):
    north, south = pair
    forest = south.ldap
    foreign = forest.add_contact('By Hand', 'hand@elsewhere.example',
                                 forest.partners)
    before = forest.read(foreign)
    for dn in list(north.ldap.search(north.ldap.staff, '(mail=*)'))[:3]:
        north.ldap.delete(dn)
    star.sync()
    assert forest.read(foreign) == before
    star.expect(south, staff_mails(north.ldap) + ['hand@elsewhere.example'])


def test_renamed_and_moved_people_keep_their_contact(star, pair):
    north, south = pair
    dn, entry = next(iter(north.ldap.search(
        north.ldap.staff, '(mail=*)', ['mail']).items()))
    mail = entry['mail'][0].decode()
    guid = south.contacts(['mail', 'objectGUID'])[mail]['objectGUID']
    unit = north.ldap.add('OU=Branch,' + north.ldap.staff, {
        'objectClass': 'organizationalUnit'})
    north.ldap.rename(dn, 'CN=Married Name', unit)
    north.ldap.modify('CN=Married Name,' + unit, displayName='Married Name',
                      mail='married.name@north.example',
                      proxyAddresses=['SMTP:married.name@north.example',
                                      'smtp:' + mail])
    star.sync()
    rows = south.contacts()
    assert mail not in rows
    contact = rows['married.name@north.example']
    assert contact['objectGUID'] == guid
    assert contact['targetAddress'] == [b'SMTP:married.name@north.example']
    star.expect_everyone()


def test_hidden_and_marked_people_stay_at_home(star, clean):
    north, south = clean['north'], clean['south']
    north.add_person(1)
    north.add_person(2, msExchHideFromAddressLists='TRUE')
    north.add_person(3, extensionAttribute7='NoGALsync')
    north.add_person(4, mail=None, proxyAddresses=None, targetAddress=None)
    star.join('north', north)
    star.join('south', south)
    star.sync()
    star.sync()
    assert len(star.spokes[1].contacts()) == 1


def test_groups_arrive_as_contacts(star, pair):
    north, south = pair
    members = list(north.ldap.search(north.ldap.staff, '(mail=*)'))[:3]
    north.ldap.add_group('All Engineers', 'engineers@north.example', members)
    star.sync()
    contact = south.contacts()['engineers@north.example']
    assert b'contact' in contact['objectClass']
    assert contact['msExchRecipientDisplayType'] == [b'-2147483386']


def test_a_revoked_member_is_refused_and_its_contacts_stay(star, three):
    north, south, west = three
    had = sorted(south.contacts())
    star.hub.do('revoke', 'WEST')
    west.ldap.add_person(70)
    assert west.call('run', 'staff').status in (1, 4)
    north.ldap.add_person(71)
    north.export()
    assert south.call('run', 'partners').status in (0, 3)
    after = sorted(south.contacts())
    assert set(had) <= set(after)
    assert len(after) == len(had) + 1


def test_keys_are_rotated_while_the_star_turns(star, pair):
    """No gap: what was signed before and after arrives, nobody is held."""
    north, south = pair
    for turn in range(2):
        before = north.json('keys')
        north.do('keys', '--rotate')
        assert north.call('keys', '--rotate').status == 1  # one at a time
        north.ldap.add_person(80 + turn, cn='After Rotation %d' % turn,
                              mail='after%d@north.example' % turn)
        for _ in range(3):
            star.sync()
        star.expect(south, staff_mails(north.ldap))
        after = north.json('keys')
        assert after['fingerprint'] != before['fingerprint']
        assert 'NORTH' not in south.do('members').text.split('held')[1:]
        north.do('check')
    row, = (r for r in star.hub.json('members')['members']
            if r['name'] == 'NORTH')
    assert row['fingerprint'] == after['fingerprint'] and not row['hold']


def test_every_process_can_be_asked_for_help(star):
    for words in ((), ('init',), ('serve',), ('invite',), ('members',),
                  ('revoke',), ('streams',), ('status',)):
        assert 'usage' in star.hub.do(*words, '--help').text.lower()
    for words in (('nonsense',), ('--nonsense',), ('invite',), ('revoke',),
                  ('invite', 'NORTH'), ('allot', 'NORTH'), ('end', 'NORTH'),
                  ('status', '--domains', 'x.example'), ('serve', 'what')):
        assert star.hub.call(*words).status == 2, words


def test_listings_are_json(star, pair):
    north, south = pair
    members = json.dumps(star.hub.json('members'))
    assert 'NORTH' in members and 'SOUTH' in members
    assert 'NORTH/staff' in json.dumps(star.hub.json('streams'))
    star.hub.json('status')
    north.json('status')
    for words in ('init', 'join', 'check', 'run', 'serve', 'status', 'keys'):
        assert 'usage' in north.do(words, '--help').text.lower()
    assert north.call('run').status == 2
    assert north.call('run', 'no-such-policy').status in (1, 2)


def test_check_says_what_is_wrong_and_what_to_do(star, pair):
    north, south = pair
    north.do('check')
    with open(north.ldap.password_file) as f:
        secret = f.read()
    north.ldap.write_secret(north.ldap.password_file, 'wrong')
    try:
        result = north.call('check')
        assert result.status == 1
        assert 'password_file' in result.text
    finally:
        north.ldap.write_secret(north.ldap.password_file, secret)
    south.write_policies(import_extra='colour = "red";')
    result = south.call('check')
    assert result.status == 1
    assert 'staff.conf:' in result.text and 'colour' in result.text


def test_an_invitation_serves_one_spoke(star, clean):
    north = star.spoke('north', clean['north'])
    other = star.spoke('north2', clean['north'])
    text = star.hub.invite('NORTH', ['north.example'])
    north.do('init')
    north.do('join', text)
    other.do('init')
    assert other.call('join', text).status == 1
    assert other.call('run', 'staff').status in (1, 2)
    north.export()
    assert north.call('join', 'galr1:nonsense').status in (1, 2)


def test_the_directory_refuses_a_stranger(star, clean):
    """The service account really has few rights, so that tests mean it."""
    forest = clean['north']
    link = forest.connect(forest.service_dn, forest.service_password)
    try:
        link.delete_s(forest.add_person(1))
    except ldap.INSUFFICIENT_ACCESS:
        return
    raise AssertionError('the service account may delete users')
