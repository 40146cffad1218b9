"""Who receives somebody: the audience, and who-sees on both sides."""


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
    north.write_policies()
    star.sync()
    star.sync()
    star.expect(west, mails)
    assert sorted(star.hub.json('who-sees', mails[0])[0]['members']) == [
        'SOUTH', 'WEST']
    assert 'nobody' in star.hub.do('who-sees', 'x@north.example').out
