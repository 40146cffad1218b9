"""What goes out: entries of `from`, reasons, and who receives it."""

import pytest

POLICY = '''export: (
	{{
		name = "staff";
		tag = "{name}/staff";
		from = ( %s );
		{export_extra}
	}}
);
'''


def unit(directory, name, parent=None):
    return directory.add('OU=%s,%s' % (name, parent or directory.staff),
                         {'objectClass': 'organizationalUnit', 'ou': name})


def person(directory, number, parent, **more):
    """Someone in that OU; returns the DN."""
    made = directory.add_person(number, **more)
    rdn = made[:-len(directory.staff) - 1]
    if parent != directory.staff:
        directory.rename(made, rdn, parent)
    return '%s,%s' % (rdn, parent)


def mail_of(directory, dn):
    return directory.read(dn, ['mail'])['mail'][0].decode()


def exported(spoke):
    """The mail addresses that the next run would send."""
    said = {}
    rows = spoke.ldap.search(spoke.ldap.base, '(mail=*)', ['mail'])
    for entry in rows.values():
        mail = entry['mail'][0].decode()
        verdicts = spoke.json('explain', mail)
        said[mail] = any(v['exported'] for v in verdicts)
    return {mail for mail, out in said.items() if out}


def policy(spoke, text, **more):
    spoke.write_policies(POLICY % text.replace('{', '{{').replace('}', '}}'),
                         **more)


@pytest.fixture
def north(star, clean):
    return star.spoke('north', clean['north'])


def counted(spoke):
    return spoke.json('count', 'staff')


def test_units_and_levels(north):
    d = north.ldap
    inner = unit(d, 'Inner')
    deep = unit(d, 'Deep', inner)
    secret = unit(d, 'Secret')
    top, mid, low, hush = (mail_of(d, person(d, n, where)) for n, where in
                           enumerate((d.staff, inner, deep, secret)))
    for scope, want in (('this-ou', {top}), ('sub-ous', {mid, low, hush}),
                        ('subtree', {top, mid, low, hush})):
        policy(north, '{ ou = "%s"; scope = "%s"; }' % (d.staff, scope))
        assert exported(north) == want, scope
        assert counted(north)['objects'] == len(want), scope
    policy(north, '{ ou = "%s"; exclude = [ "%s" ]; }' % (d.staff, secret))
    assert exported(north) == {top, mid, low}
    assert counted(north)['kinds']['user']['excluded'] == 1
    # Another entry wants what the first excludes, and finds one twice.
    policy(north, '{ ou = "%s"; exclude = [ "%s" ]; }, { ou = "%s"; }, '
           '{ ou = "%s"; }' % (d.staff, secret, inner, secret))
    assert exported(north) == {top, mid, low, hush}
    said = counted(north)
    assert said['objects'] == 4 and said['kinds']['user']['excluded'] == 0
    policy(north, '{ ou = "%s"; exclude = [ "OU=Typo,%s" ]; }' % (
        d.staff, d.staff))
    assert 'does not exist' in north.do('count', 'staff', expect=1).text


def test_searches_and_objects(north):
    d = north.ldap
    inner = unit(d, 'Sales (Inner)')
    one = person(d, 1, d.staff, displayName='Star * Person')
    two = person(d, 2, inner, department='Press')
    three = person(d, 3, d.staff, title='Counsel', department='Legal')
    mails = one_mail, two_mail, three_mail = [
        mail_of(d, dn) for dn in (one, two, three)]
    d.add_group('Star Group', 'star.group@north.example')
    policy(north, '{ search = "Star *"; kinds = [ "user" ]; }')
    assert exported(north) == {one_mail}
    policy(north, '{ search = "star*"; }')
    assert exported(north) == {one_mail, 'star.group@north.example'}
    policy(north, '{ search = "%s"; }' % two_mail.split('@')[0][1:])
    assert exported(north) == set()
    policy(north, '{ search = "%s*"; }' % two_mail.split('@')[0])
    assert exported(north) == {two_mail}
    # A parenthesis is no syntax, and a found OU gives what is in it.
    policy(north, '{ search = "Sales (*"; kinds = [ "ou" ]; }')
    assert exported(north) == {two_mail}
    policy(north, '{ search = "*"; kinds = [ "user" ]; exclude = [ "%s" ]; }'
           % inner)
    assert exported(north) == {one_mail, three_mail}
    policy(north, '{ filter = "(|(department=Press)(title=Counsel))"; }, '
           '{ object = "%s"; }' % three)
    assert exported(north) == {two_mail, three_mail}
    assert counted(north)['objects'] == 2
    # A domain refers to its own partitions; nobody is there to be missed.
    assert counted(north)['referrals'] == 0
    policy(north, '{ filter = "(cn=a=(b))"; }')
    said = north.do('count', 'staff', expect=(0, 1))
    assert said.status == 1 or '0 objects' in said.out
    assert len(set(mails)) == 3
    # By "not", a misspelt attribute would find everybody.
    for wrong in ('(!(departmnt=Press))', '(&(cn=*)(!(employeTyp=x)))',
                  '(!(1.2.840.113556.1.2.1020=x))'):
        policy(north, '{ filter = "%s"; }' % wrong)
        said = north.do('count', 'staff', expect=1).text
        assert 'filter %s: unknown attribute %s:' % (
            wrong, wrong.split('(')[-1].split('=')[0]) in said, said
    policy(north, '{ filter = "(&(anr=%s)(memberOf:1.2.840.113556.1.4.1941:='
           'CN=x,%s)(userAccountControl:1.2.840.113556.1.4.803:=512))"; }'
           % (one_mail, d.base))
    assert counted(north)['objects'] == 0


def test_pinned_by_id(star, clean):
    d = clean['north']
    inner = unit(d, 'Inner')
    secret = unit(d, 'Secret')
    alone = person(d, 1, secret)
    first = person(d, 2, inner)
    person(d, 3, secret)
    north, south = star.join('north', d), star.join('south', clean['south'])
    policy(north, '{ ou = "%s"; exclude = [ "%s" ]; }, { object = "%s"; }'
           % (d.staff, secret, alone))
    want = {mail_of(d, alone), mail_of(d, first)}
    north.export()
    south.fetch()
    star.expect(south, want)
    # Renamed and moved: nothing changes for the others.
    d.rename(secret, 'OU=Silent', inner)
    alone = alone.replace(secret, 'OU=Silent,' + inner)
    d.rename(alone, 'CN=Someone Else')
    said = north.export()
    assert '0 added' in said.out and '0 deleted' in said.out, said
    policy(north, '{ ou = "%s"; }, { object = "%s"; }' % (inner, first))
    north.export()
    d.rename(inner, 'OU=Elsewhere')
    place = 'OU=Elsewhere,' + d.staff
    said = north.export()
    assert ' 0 deleted' in said.out, said
    # A group without members stops the run, not who asks what it would do.
    sales = d.add_group('Sales', 'sales@north.example', [first.replace(
        inner, place)])
    policy(north, '{ object = "%s"; groups = "both"; }' % sales)
    assert '1 added' in north.export().out
    d.modify(sales, member=None)
    assert 'no group there has members' in north.export(expect=1).text
    assert counted(north)['objects'] == 1
    assert 'exported' in north.do('explain', 'sales@north.example').out
    north.do('run', 'staff', '--allow-empty')
    policy(north, '{ ou = "%s"; }, { object = "%s"; }' % (inner, first))
    north.export()
    # A single object that vanishes is a warning, an OU stops the run.
    d.delete(first.replace(inner, place))
    said = north.export()
    assert '1 deleted' in said.out and 'does not exist' in said.text, said
    d.empty(place)
    d.delete(place)
    said = north.export(expect=1)
    assert 'vanished' in said.text, said
    unit(d, 'Inner')
    assert 'vanished' in north.export(expect=1).text
    north.do('run', 'staff', '--allow-empty')


def test_groups(north):
    d = north.ldap
    place = unit(d, 'Elsewhere', d.base)
    try:
        far = mail_of(d, person(d, 1, place))
        near = mail_of(d, person(d, 2, d.staff))
        hidden = mail_of(d, person(d, 3, place,
                                   msExchHideFromAddressLists='TRUE'))
        made = {entry['mail'][0].decode(): dn for dn, entry in d.search(
            d.base, '(&(objectCategory=person)(mail=*))', ['mail']).items()}
        inner = d.add_group('Inner', 'inner@north.example', [made[far]])
        sales = d.add_group('Sales', 'sales@north.example', [
            inner, made[near], made[hidden]])
        policy(north, '{ object = "%s"; groups = "members"; }' % sales)
        assert exported(north) == {near, 'inner@north.example'}
        said = counted(north)
        assert said['objects'] == 2 and said['refused_filters'] == 0
        assert said['kinds']['group']['members_only'] == 1
        assert said['kinds']['group']['exported'] == 1
        assert said['kinds']['user']['hidden'] == 1
        policy(north, '{ ou = "%s"; groups = "both"; nested = true; }'
               % d.staff)
        assert exported(north) == {near, far, 'inner@north.example',
                                   'sales@north.example'}
        # Once each, although a unit and two groups find them.
        assert counted(north)['objects'] == 4
        policy(north, '{ object = "%s"; groups = "members"; nested = true; '
               'exclude = [ "%s" ]; }' % (sales, place))
        assert exported(north) == {near}
        assert counted(north)['kinds']['user']['excluded'] == 2
        policy(north, '{ object = "%s"; nested = true; }' % sales,
               export_extra='groups = "members";')
        assert exported(north) == {near, far}
        by = 'by object %s' % sales
        for mail, words in (
                (near, ('exported', by, 'member of ' + sales)),
                (far, ('exported', by, 'member of ' + inner)),
                (hidden, ('not exported: hidden from address lists', by,
                          'member of ' + sales)),
                ('inner@north.example',
                 ('not exported: only its members go out', by,
                  'member of ' + sales)),
                ('sales@north.example',
                 ('not exported: only its members go out', by))):
            lines = north.do('explain', mail).out.splitlines()
            assert lines[1:] == ['  staff: ' + words[0]] + [
                '    ' + word for word in words[1:]]
        said = north.json('explain', far)
        assert said[0]['member_of'] == inner
        assert said[0]['from'] == 'object ' + sales
        assert north.json('explain', hidden)[0]['reason'] == 'hidden'
        assert 'only its members go out' in north.do('count', 'staff').out
        d.add('CN=broken,' + d.staff, {
            'objectClass': 'msExchDynamicDistributionList', 'cn': 'broken',
            'msExchDynamicDLFilter': '(cn=x'})
        policy(north, '{ ou = "%s"; groups = "members"; }' % d.staff)
        said = north.do('count', 'staff')
        assert '1 dynamic groups have a filter' in said.out, said
        assert 'CN=broken' in said.text
        assert counted(north)['objects'] == 2
    finally:
        d.empty(place)
        d.delete(place)


def test_one_reason_each(north):
    d = north.ldap
    fine = mail_of(d, person(d, 1, d.staff))
    hidden = mail_of(d, person(d, 2, d.staff,
                               msExchHideFromAddressLists='TRUE',
                               extensionAttribute3='x'))
    marked = mail_of(d, person(d, 3, d.staff,
                               msExchHideFromAddressLists='TRUE',
                               extensionAttribute15='nogalsync'))
    d.add_person(4, mail=None, proxyAddresses=None)
    d.add_group('Nobody', 'nobody@north.example')
    d.add('CN=Mute,' + d.staff, {'objectClass': 'group', 'cn': 'Mute',
                                 'sAMAccountName': 'Mute', 'groupType': '8'})
    policy(north, '{ ou = "%s"; }' % d.staff)
    said = counted(north)
    assert said['objects'] == 2
    users = said['kinds']['user']
    assert (users['exported'], users['hidden'], users['marked'],
            users['no_address']) == (1, 1, 1, 1)
    assert said['kinds']['group']['exported'] == 1
    assert said['kinds']['group']['no_address'] == 1
    total = sum(n for row in said['kinds'].values() for n in row.values())
    assert total == 6
    text = north.do('count', 'staff').out
    assert 'staff would export 2 objects' in text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert 'hidden from address lists' in text
    for mail, words in ((fine, ': exported\n    by OU ' + d.staff),
                        (hidden, 'hidden from address lists'),
                        (marked, 'marked not to be exported')):
        assert words in north.do('explain', mail).out
    # Several policies: the entry stands there once.
    with open(north.directory + '/policies.d/none.conf', 'w') as out:
        out.write('export: ( { name = "none"; enabled = false; from = ( '
                  '{ search = "nobody at all"; } ); } );\n')
    said = north.do('explain', fine).out
    assert said.count('CN=') == 1, said
    assert 'none (off): not exported: no entry of from' in said
    assert [row['reason'] for row in north.json('explain', fine)] == [
        'not_found', 'exported']
    assert 'from finds nothing' in north.do('count', 'none').out
    assert 'no entry' in north.do('explain', 'who@north.example',
                                  expect=1).text
    # One that cannot be asked keeps no other from answering.
    with open(north.directory + '/policies.d/none.conf', 'w') as out:
        out.write('export: ( { name = "none"; from = ( { ou = '
                  '"OU=Stuff,%s"; } ); } );\n' % d.base)
    said = north.do('explain', fine, expect=1)
    assert ': exported\n    by OU ' + d.staff in said.out
    assert 'policy=none' in said.err and 'correct ou' in said.err
    north.do('explain', 'nonsense', expect=2)
    north.do('count', 'nothing', expect=2)


def test_who_is_left_out_counts_once(star, clean):
    d = clean['north']
    d.populate(6)
    north = star.join('north', d)
    assert north.json('run', 'staff')['objects'] == 6
    for dn in sorted(d.search(d.staff, '(mail=*)', ['1.1']))[:2]:
        d.modify(dn, msExchHideFromAddressLists='TRUE')
    said = north.json('count', 'staff')
    assert (said['objects'], said['before']) == (4, 6)
    assert '4 objects; the last run left 6' in north.do('count', 'staff').out
    said = north.json('run', 'staff', '--full')
    assert (said['deleted'], said['excluded']['hidden']) == (2, 2), said


def test_openldap(star, openldap):
    d = openldap
    d.populate(6)
    inner = d.add('ou=Inner,' + d.staff, {'objectClass': 'organizationalUnit',
                                          'ou': 'Inner'})
    rows = {dn: e['mail'][0].decode() for dn, e in d.search(
        d.staff, '(mail=*)', ['mail']).items()}
    moved, alone = sorted(rows)[:2]
    entry = d.read(moved)
    d.delete(moved)
    d.add('%s,%s' % (moved.split(',')[0], inner), entry)
    east = star.spoke('east', d)
    policy(east, '{ ou = "%s"; exclude = [ "%s" ]; }' % (d.staff, inner))
    assert exported(east) == set(rows.values()) - {rows[moved]}
    policy(east, '{ search = "inn*"; kinds = [ "ou" ]; }, '
           '{ object = "%s"; }' % alone)
    assert exported(east) == {rows[moved], rows[alone]}
    policy(east, '{ search = "%s"; }' % rows[alone])
    assert exported(east) == {rows[alone]}
    for name in ('titel', '2.5.4.12.1'):
        policy(east, '{ filter = "(!(%s=x))"; }' % name)
        assert 'unknown attribute ' + name in east.do('count', 'staff',
                                                      expect=1).text
    policy(east, '{ filter = "(&(mail=%s)(surname=*)(2.5.4.3=*)'
           '(entryUUID=*))"; }'
           % rows[alone])
    assert exported(east) == {rows[alone]}
    east.do('init')
    east.do('join', star.hub.invite('EAST', [d.domain]))
    policy(east, '{ ou = "%s"; }' % inner)
    east.export()
    d.rename(inner, 'ou=Renamed')
    said = east.export()
    assert ' 0 deleted' in said.out, said
    d.empty('ou=Renamed,' + d.staff)
    d.delete('ou=Renamed,' + d.staff)
    assert 'vanished' in east.export(expect=1).text


def test_a_manager_goes_along(star, clean):
    """Counted, explained, published; a target takes him like others."""
    north, south = (star.join(name, clean[name]) for name in (
        'north', 'south'))
    d = north.ldap
    place = unit(d, 'Board', d.base)
    try:
        top, boss, shy = (person(d, n, place) for n in (1, 2, 3))
        d.modify(boss, manager=top)
        d.modify(shy, msExchHideFromAddressLists='TRUE')
        one = person(d, 4, d.staff, manager=boss)
        two = person(d, 5, d.staff, manager=shy)
        d.add_group('All', 'all@north.example', [one, two, boss, shy])
        want = {mail_of(d, one), mail_of(d, two), 'all@north.example'}
        policy(north, '{ ou = "%s"; }' % d.staff)
        assert exported(north) == want
        assert counted(north)['along'] == 0
        policy(north, '{ ou = "%s"; }' % d.staff,
               export_extra='manager = true;')
        want.add(mail_of(d, boss))
        assert exported(north) == want
        said = counted(north)
        assert said['objects'] == 4 and said['along'] == 1
        assert said['untold_managers'] == 1
        assert '1 of them would go along' in north.do('count', 'staff').out
        said = north.do('explain', mail_of(d, boss)).out
        assert 'exported\n    along as manager of ' + one in said, said
        said, = north.json('explain', mail_of(d, boss))
        assert said['manager_of'] == one and said['from'] == ''
        said = north.do('explain', mail_of(d, shy)).out
        assert 'not exported: hidden' in said and two in said, said
        said = north.do('explain', mail_of(d, top)).out
        assert 'no entry of from finds it' in said, said
        north.export()
        south.fetch()
        star.expect(south, want)
        assert 'SOUTH' in north.do('who-sees', mail_of(d, boss)).out
    finally:
        d.empty(place)
        d.delete(place)


def test_names_that_command_a_terminal(star, openldap):
    """A name with a line break says nothing in the name of explain."""
    d = openldap
    made = d.add('cn=Anna\\0a  staff: not exported\\1b[2J,' + d.staff, {
        'objectClass': 'inetOrgPerson', 'mail': 'anna@east.example',
        'cn': 'Anna\n  staff: not exported\x1b[2J', 'sn': 'x'})
    east = star.spoke('east', d)
    policy(east, '{ object = "%s"; }, { ou = "%s"; }' % (
        made.replace('\\', '\\\\'), d.staff))
    said = east.do('explain', 'anna@east.example').out
    name = 'cn=Anna\\0A  staff: not exported\\1B[2J,' + d.staff
    assert said.splitlines()[:2] == [name, '  staff: exported'], said
    assert '\x1b' not in said
    assert east.json('explain', 'anna@east.example')[0]['exported']
