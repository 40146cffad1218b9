"""What goes along, seen from the other side."""

import os


def contact(spoke, mail):
    return spoke.contacts(['*'])[mail]


def test_what_is_withdrawn_is_cleared(star, clean):
    """By the policy, at the entry, and by a closed group of people."""
    d = clean['north']
    dn = d.add_person(1, homePhone='+46 1', info='a note', title='Boss',
                      thumbnailPhoto=os.urandom(102400))
    mail = d.read(dn, ['mail'])['mail'][0].decode()
    north = star.join('north', d)
    south = star.join('south', clean['south'])
    star.sync()
    star.sync()
    before = contact(south, mail)
    assert {'homePhone', 'info', 'title'} <= set(before)
    d.modify(dn, info=None)
    star.sync()
    assert 'info' not in contact(south, mail)
    north.write_policies(export_extra='deny = [ "homePhone" ];')
    star.sync()
    star.sync()
    after = contact(south, mail)
    assert 'homePhone' not in after and after['title'] == [b'Boss']
    assert after['dn'] == before['dn']
    assert after['objectGUID'] == before['objectGUID']
    north.write_policies()
    star.sync()
    assert contact(south, mail)['homePhone'] == [b'+46 1']


def test_delegation_is_not_written_unasked(star, clean):
    d = clean['north']
    dn = d.add_person(1)
    mail = d.read(dn, ['mail'])['mail'][0].decode()
    star.join('north', d, export_extra='delegation = true;')
    south = star.join('south', clean['south'])
    star.sync()
    star.sync()
    written = contact(south, mail)
    assert 'msExchMasterAccountSid' not in written
    assert written['msExchRecipientDisplayType'] == [b'-2147483642']


def test_an_unknown_attribute_publishes_nothing(star, clean):
    clean['north'].populate(3)
    north = star.join('north', clean['north'])
    south = star.join('south', clean['south'])
    star.sync()
    star.sync()
    mails = list(south.contacts(['mail']))
    assert len(mails) == 3
    clean['north'].add_person(7)
    north.write_policies(export_extra='deny = [ "homePhon" ];')
    said = north.export(expect=1)
    assert 'unknown attribute homePhon' in said.text, said
    assert 'unknown attribute homePhon' in north.do('check', expect=1).text
    south.fetch()
    star.expect(south, mails)
    north.write_policies(export_extra='allow = [ "userPassword" ];')
    said = north.export(expect=1)
    assert 'staff.conf' in said.text and 'credentials' in said.text, said
    north.write_policies()
    north.export()
    south.fetch()
    assert len(south.contacts(['mail'])) == 4
