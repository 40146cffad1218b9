"""slapd as source and as target, and entries that a target refuses."""

import socket

import pytest

from testbed.star import staff_mails

REFUSES_STARS = '''moduleload constraint'''
CONSTRAINT = '''overlay constraint
constraint_attribute title regex ^[^*]*$
'''


def test_slapd_and_samba_share(star, clean, openldap):
    openldap.populate(25)
    clean['north'].populate(12)
    east, north = star.join('east', openldap, domains=['west.example']), \
        star.join('north', clean['north'])
    star.sync()
    star.sync()
    star.expect_everyone()
    mail = staff_mails(clean['north'])[0]
    contact = east.contacts()[mail]
    assert b'inetOrgPerson' in contact['objectClass']
    for name in ('cn', 'sn', 'mail', 'title', 'telephoneNumber',
                 'labeledURI'):
        assert name in contact, name
    dn = next(iter(clean['north'].search(clean['north'].staff,
                                         '(mail=%s)' % mail)))
    clean['north'].modify(dn, title='Navigator')
    openldap.delete(next(dn for dn in openldap.search(
        openldap.staff, '(mail=*)')))
    star.sync()
    assert east.contacts()[mail]['title'] == [b'Navigator']
    star.expect_everyone()


def test_timing_says_where_cpu_time_went(star, openldap):
    openldap.populate(200)
    east = star.join('east', openldap, domains=['west.example'])
    assert 'cpu_us' not in east.json('run', 'staff')
    openldap.add_person(300)
    said = east.json('run', 'staff', '--full', '--timing')
    assert said['objects'] == said['entries'] == 201
    assert set(said['cpu_us']) == {'rest', 'receive', 'read', 'shape',
                                   'encode', 'store', 'section', 'seal'}
    assert all(spent > 0 for spent in said['cpu_us'].values()), said
    assert 'us an entry: rest' in east.do('run', 'staff', '--full',
                                          '--timing').out


def test_one_refused_entry_stops_no_other(star, clean, slapd_factory):
    strict = slapd_factory('strict', extra=REFUSES_STARS,
                           overlays=CONSTRAINT)
    north = clean['north']
    north.populate(10)
    rows = {e['mail'][0].decode(): dn for dn, e in north.search(
        north.staff, '(mail=*)', ['mail']).items()}
    bad = sorted(rows)[4]
    north.modify(rows[bad], title='***')
    source, target = star.join('north', north), star.join('strict', strict)
    source.export()
    said = target.fetch(expect=(0, 4)).text
    said += target.fetch(expect=4).text
    assert 'title' in said, said
    star.expect(target, set(rows) - {bad})
    north.modify(rows[bad], title='Harmless')
    star.sync()
    star.expect_everyone()


def test_referrals_are_not_followed(star, clean, slapd_factory):
    """Nobody is sent elsewhere with our password; the rest is published."""
    source = slapd_factory('refers')
    source.populate(8)
    source.add('uid=away,' + source.staff, {
        'objectClass': ['referral', 'extensibleObject'], 'uid': 'away',
        'ref': 'ldap://127.0.0.1:%d/uid=away,dc=other' % 1})
    with socket.create_server(('127.0.0.1', 0)) as trap:
        trap.setblocking(False)
        source.add('ou=Elsewhere,' + source.staff, {
            'objectClass': ['referral', 'extensibleObject'],
            'ou': 'Elsewhere', 'ref': 'ldap://127.0.0.1:%d/ou=Staff,dc=other'
            % trap.getsockname()[1]})
        spoke, north = star.join('refers', source, ['west.example']), \
            star.join('north', clean['north'])
        said = spoke.do('check', expect=4).out
        assert 'behind the referral ldap://127.0.0.1:1/uid=away' in said, said
        said = spoke.export().text
        assert '2 referrals not followed' in said, said
        assert '/ou=Staff,dc=other' in said, said
        north.fetch()
        star.expect(north, staff_mails(source))
        assert len(north.contacts()) == 8
        with pytest.raises(BlockingIOError):
            trap.accept()
