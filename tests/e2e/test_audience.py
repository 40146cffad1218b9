"""Who receives somebody: the audience, and who-sees on both sides."""

from testbed.star import POLICIES, changed, staff_mails


def test_audience(star, clean):
    clean['north'].populate(3)
    north = star.join('north', clean['north'],
                      export_extra='audience = [ "SOUTH" ];')
    south = star.join('south', clean['south'])
    west = star.join('west', clean['west'])
    mails = [e['mail'][0].decode() for e in clean['north'].search(
        clean['north'].staff, '(mail=*)', ['mail']).values()]
    assert 'nobody' in north.do('who-sees', mails[0], expect=1).text
    star.sync()
    star.sync()
    star.expect(south, mails)
    star.expect(west, [])
    for said in (north.json('who-sees', mails[0]),
                 star.hub.json('who-sees', mails[0].upper())):
        assert [row['members'] for row in said] == [['SOUTH']], said
        assert not said[0]['everybody']
    assert 'SOUTH' in north.do('who-sees', mails[1]).out
    assert 'WEST' not in star.hub.do('who-sees', mails[1]).out
    # A typing mistake, and itself: neither gets anything.
    for audience, words in (('SUOTH', 'no member: SUOTH; nobody receives it'),
                            ('NORTH', '; nobody receives it')):
        north.write_policies(export_extra='audience = "%s";' % audience)
        assert words in north.export().out
        assert 'nobody receives it' in north.do('check', expect=4).out
    north.write_policies()
    star.sync()
    star.sync()
    star.expect(west, mails)
    assert sorted(star.hub.json('who-sees', mails[0])[0]['members']) == [
        'SOUTH', 'WEST']
    assert 'nobody' in star.hub.do('who-sees', 'x@north.example').out


def group(spoke, *members):
    """member_groups in the source's own configuration."""
    with open(spoke.conf) as f:
        kept = [line for line in f if not line.startswith('member_groups')]
    with open(spoke.conf, 'w') as out:
        out.write(''.join(kept) + 'member_groups = ( { name = "near"; '
                  'members = [ %s ]; } );\n' % ', '.join(
                      '"%s"' % name for name in members))


def test_groups_of_members(star, clean):
    """The source alone says who is in a group; the hub wraps for nobody
    else, and a change is a version of its own."""
    clean['north'].populate(3)
    north = star.spoke('north', clean['north'],
                       export_extra='audience = [ "@near" ];')
    said = north.do('init', expect=1).text
    assert 'there is no group "near"' in said, said
    group(north, 'SOUTH', 'NOBODY')
    north.do('init')
    north.do('join', star.hub.invite('NORTH', ['north.example']))
    south = star.join('south', clean['south'])
    west = star.join('west', clean['west'])
    mails = staff_mails(clean['north'])
    star.sync()
    star.sync()
    star.expect(south, mails)
    star.expect(west, [])
    assert not west.json('status')['streams']
    said = north.do('check', expect=4).out
    assert 'no member of the realm: NOBODY' in said, said
    assert 'but no member: NOBODY' in north.export().out
    assert north.json('run', 'staff')['receivers'] == 1
    row, = north.json('who-sees', mails[0])
    assert row['members'] == ['SOUTH'] and row['groups'] == ['near']
    assert 'by @near): SOUTH' in north.do('who-sees', mails[0]).out
    assert star.hub.json('who-sees', mails[0])[0]['members'] == ['SOUTH']
    # nothing was written in the directory, and yet it is another version
    version = stream(star)['version']
    north.export()
    assert stream(star)['version'] == version
    group(north, 'NOBODY', 'SOUTH', 'SOUTH')
    north.export()
    assert stream(star)['version'] == version
    group(north, 'WEST')
    north.export()
    assert stream(star)['version'] > version
    assert north.json('who-sees', mails[0])[0]['members'] == ['WEST']
    star.eventually(lambda: hub_shows(star, mails[0], ['WEST']))
    star.sync()
    star.sync()
    star.expect(west, mails)
    # what was withdrawn waits for the operator there
    star.expect(south, mails)


def stream(star):
    row, = [row for row in star.hub.json('streams')['streams']
            if row['member'] == 'NORTH']
    return row


def hub_shows(star, mail, members):
    assert star.hub.json('who-sees', mail)[0]['members'] == members


def test_a_policy_gets_another_name(star, clean):
    """In other letters it is the same one, here and for all others; and who
    still receives what a former one published is not forgotten."""
    d = clean['north']
    d.populate(3)
    north = star.join('north', d)
    south = star.join('south', clean['south'])
    star.sync()
    star.sync()
    with changed(north.directory + '/policies.d/staff.conf',
                 'name = "staff"', 'name = "Staff"'):
        assert '0 added' in north.export().out
        d.add_person(10)
        assert '1 added' in north.export().out
        south.fetch()
        star.expect(south, staff_mails(d))
        row, = north.json('who-sees', staff_mails(d)[0])
        assert row['policy'] and row['members'] == ['SOUTH']
    north.write_policies(POLICIES.replace('"staff"', '"people"').replace(
        '/staff', '/people'))
    row, = north.json('who-sees', staff_mails(d)[0])
    assert not row['policy'] and row['members'] == ['SOUTH']
    north.do('run', 'people')
    said = north.do('who-sees', staff_mails(d)[0]).out
    assert 'people (all members): SOUTH' in said, said
    assert 'no policy has that name now): SOUTH' in said, said
    star.hub.do('end', 'NORTH/staff')
    star.eventually(lambda: ended(north, staff_mails(d)[0]))


def ended(spoke, mail):
    spoke.fetch()
    assert [row['stream'] for row in spoke.json('who-sees', mail)] == [
        'people']
