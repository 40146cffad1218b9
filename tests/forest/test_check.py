"""What galspoke check says of the places of a policy."""

import json
import os

from testbed.reader import Reader, ou


def said(reader):
    """{result: the texts} of the policy."""
    rows = {}
    for row in json.loads(reader.tool('check', '--json').stdout):
        if row['what'] == 'staff':
            rows.setdefault(row['result'], []).append(row['text'])
    return rows


def test_a_place_that_was_renamed(openldap, tmp_path):
    """It is followed, and somebody is told to write its new name."""
    old = 'ou=Ships,' + openldap.staff
    openldap.add(old, {'objectClass': 'organizationalUnit', 'ou': 'Ships'})
    dn = openldap.add_person(1)
    openldap.rename(dn, dn.split(',')[0], old)
    reader = Reader(tmp_path, openldap)
    reader.policy('ou = "%s";' % old)
    os.mkdir(os.path.join(reader.home, 'streams'))
    # where galspoke itself keeps what it published
    assert reader.read(replica='streams/own-staff.db')['count'] == 1
    assert 'warning' not in said(reader)
    openldap.rename(old, 'ou=Boats')
    new = 'ou=Boats,' + openldap.staff
    rows = said(reader)
    assert any(old in text and '%s now' % new in text
               for text in rows['warning']), rows
    assert any('1 candidates' in text for text in rows['ok']), rows
    reader.policy('ou = "%s";' % new)
    assert 'warning' not in said(reader)


def test_entries_that_find_nothing(openldap, tmp_path):
    nobody = 'cn=Nobody,' + openldap.staff
    places = 'object = "%s";' % nobody, 'search = "title=*Boss*";'
    reader = Reader(tmp_path, openldap)
    reader.policy(*places)
    first, second = said(reader)['warning']
    assert nobody in first and 'does not exist' in first
    assert 'write filter = "(title=*Boss*)"' in second
    # of a policy that is off it is no reason to warn
    reader.policy(*places, more='enabled = false;')
    rows = said(reader)
    assert 'warning' not in rows, rows
    assert all(text.startswith('off; ') for text in rows['ok']), rows
    # but what is wrong in it is wrong
    reader.policy(ou(openldap).replace('Staff', 'Stuff'),
                  more='enabled = false;')
    assert 'correct ou' in said(reader)['problem'][0]
