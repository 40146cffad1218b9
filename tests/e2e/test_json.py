"""What --json prints is what the manuals say, field by field."""

import json
import re

import pytest
from test_documents import PAGES, commands, options, text, usage

# Their keys are reasons, kinds, checks: listed elsewhere, or counted.
MAPS = {'kinds', 'excluded', 'dropped', 'refused', 'counters', 'cpu_us'}


def fields(value, found):
    """All keys in a JSON document, but those of maps."""
    if isinstance(value, list):
        for item in value:
            fields(item, found)
    elif isinstance(value, dict):
        for key, inner in value.items():
            found.add(key)
            if key not in MAPS or isinstance(inner, list):
                fields(inner, found)
    return found


def documented(name):
    """{command: fields} of the manual's section JSON, where .Va marks nothing
    else."""
    page = text(PAGES[name])
    section = page[page.index('.Sh JSON'):]
    section = section[:section.index('\n.Sh ')]
    found = {}
    for item in section.split('\n.It Sy ')[1:]:
        command, _, body = item.partition('\n')
        found[command.replace('\\-', '-')] = set(
            word.replace('\\-', '-') for word in re.findall(
                r'^\.(?:Pq |Po\n\.)?Va ([a-z_\\-]+)', body, re.M))
    return found


STRICT = 'max_delete_percent = 0; max_delete_count = 0;'
KEPT = 'max_clear_percent = 0; max_clear_count = 0;'


class Printed:
    """Fields of every command, over runs that show each of them."""

    def __init__(self):
        self.fields = {name: {} for name in PAGES}

    def take(self, part, *argv, expect=0):
        out = part.do(*argv, '--json', expect=expect).out
        assert out.count('\n') == 1, out
        said = json.loads(out)
        fields(said, self.fields[part.name].setdefault(argv[0], set()))
        return said


def some_peers(status):
    assert status['front']['peers']


@pytest.fixture
def printed(star, openldap, slapd_factory):
    p = Printed()
    here, there = openldap, slapd_factory('south')
    here.populate(6)
    for i in range(4):
        gone = there.add_person(20 + i, mail='p%d@south.example' % i)
    # members, a manager, pictures, an address that is in use here
    boss = here.add_person(30, jpegPhoto=b'\xff' * 102401)
    one = here.add_person(31, manager=boss, jpegPhoto=b'\xff\xd8\xff')
    here.add_person(32, mail='p1@south.example')
    sir = here.add_person(33, title='Sir')
    here.add('cn=Crew,' + here.staff, {
        'objectClass': ['groupOfNames', 'extensibleObject'], 'cn': 'Crew',
        'mail': 'crew@west.example', 'member': [one]})
    mail, large = (here.read(dn, ['mail'])['mail'][0].decode()
                   for dn in (one, boss))
    invitation = star.hub.invite('NORTH', ['west.example'])
    north = star.spoke('north', here, export_extra='manager = true;')
    north.do('init')
    p.take(north, 'join', invitation)
    south = star.join('south', there)
    star.hub.invite('EAST', ['east.example'])
    star.sync()
    said = p.take(north, 'run', 'staff', '--full', '--timing')
    p.excluded, p.dropped = said['excluded'], said['dropped']
    for argv in (('run', 'partners', '--full'), ('check',),
                 ('count', 'staff'), ('explain', '--attributes', mail),
                 ('explain', '--attributes', 'crew@west.example'),
                 ('explain', large),
                 ('who-sees', mail), ('status',), ('keys',), ('members',)):
        p.take(north, *argv)
    for argv in ('members',), ('streams',), ('who-sees', mail):
        p.take(star.hub, *argv)
    # the front writes down now and then whom it met
    star.eventually(lambda: some_peers(p.take(star.hub, 'status')))
    # guards at work, and an object out of its place
    north.write_policies(export_extra='manager = true;' + STRICT + KEPT,
                         import_extra=STRICT)
    contact, = here.search(here.partners, '(mail=p2@south.example)')
    here.rename(contact, contact.split(',')[0], here.staff)
    here.delete(one)
    here.modify(sir, title=None)
    there.delete(gone)
    south.export()
    p.take(north, 'run', 'staff', expect=3)
    p.take(north, 'run', 'partners', expect=3)
    p.take(north, 'status')
    p.take(north, 'release', 'staff', '--list')
    p.take(north, 'release', 'partners')
    return p


def test_fields_are_those_of_the_manuals(printed):
    for name in PAGES:
        listed = documented(name)
        takes = {command for command in commands(name)
                 if 'json' in options(usage(name, command))}
        assert set(listed) == set(printed.fields[name]) == takes
        for command, found in printed.fields[name].items():
            assert listed[command] == found, (name, command)
    page = text(PAGES['galspoke'])
    reasons = set(re.findall(r'^\.It .* Bq ([a-z_]+)$', page, re.M))
    assert reasons == set(printed.excluded) | {'exported'}
    assert set(re.findall(r'^\.Pq Ql ([a-z]+)', page, re.M)) == set(
        printed.dropped)
