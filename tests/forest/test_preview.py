"""explain --attributes shows exactly what a run then writes, and no more."""

import json
import os
import subprocess

import pytest
from test_collect import PROBE
from test_references import (ALONG, MANAGER, MEMBERS, Stream, ad, company,
                             fields, group)

KIND, SOURCE_DN, TYPE, ATTRIBUTES = 1, 2, 3, 4
KINDS = {1: 'user', 2: 'contact', 3: 'group'}
assert company  # a fixture
PHOTO = b'\xff\xd8\xff\xe0' + bytes(range(256))


def explain(c, mail, *more, expect=0):
    done = subprocess.run(
        [os.path.join(os.path.dirname(PROBE), '..', '..', 'galspoke'),
         '--config', c.conf, 'explain', '--attributes', mail, *more],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def sent(c, mail):
    verdict, = json.loads(explain(c, mail, '--json'))
    return verdict['sent']


class Body:
    """One object of a stream, in the shape in which explain shows it."""

    def __init__(self, stream, name):
        self.stream, self.body = stream, stream.bodies[name]
        self.id, = [k for k, v in stream.names.items() if v == name]

    def values(self):
        for attribute in self.body[ATTRIBUTES]:
            found = fields(attribute)
            for value in found[2]:
                yield found[1][0].decode(), value

    def mail(self):
        return dict(self.values())['mail'].decode()

    def named(self, data):
        return [{'id': data[i:i + 16].hex(),
                 'mail': Body(self.stream,
                              self.stream.names[data[i:i + 16]]).mail()}
                for i in range(0, len(data), 16)]

    def shown(self):
        manager = self.body.get(MANAGER, [b''])[0]
        members = self.body.get(MEMBERS)
        return {
            'id': self.id.hex(), 'kind': KINDS[self.body[KIND][0]],
            'recipient_type': self.body.get(TYPE, [0])[0],
            'source_dn': self.body[SOURCE_DN][0].decode(),
            'attributes': [
                {'name': name, 'octets': len(value), 'type': 'JPEG'}
                if value == PHOTO else
                {'name': name, 'value': value.decode()}
                for name, value in self.values()],
            'manager': self.named(manager)[0] if manager else None,
            'members': self.named(members[0]) if members else None,
            'along': ALONG in self.body}


def office(c):
    """Managers who come along and who do not, groups, pictures, addresses to
    be left out; returns names and what is the same for all."""
    d = c.directory
    top = c.person('Top', board=True)
    boss = c.person('Boss', board=True, manager=top)
    shy = c.person('Shy', board=True)
    if ad(d):
        d.modify(shy, msExchHideFromAddressLists='TRUE')
    else:
        d.modify(shy, mail=None)
    more = {'thumbnailPhoto' if ad(d) else 'jpegPhoto': PHOTO}
    first = c.person('First', manager=boss, title='Dr.\t Grün',
                     departmentNumber='17', **more)
    c.person('Second', manager=shy)
    c.person('Third', manager=first, description='closed \u202e\u0085')
    group(c, 'Inner', [first, boss, shy])
    outer = group(c, 'Outer', ['CN=Inner,' + d.staff, first, top], **(
        {'groupType': '-2147483640'} if ad(d) else {}))
    if ad(d):   # whom the group does not name any more
        d.modify(first, primaryGroupID=int.from_bytes(
            d.read(outer, ['objectSid'])['objectSid'][0][-4:], 'little'))


@pytest.fixture(params=['ad', 'openldap'])
def filled(request, company):
    def make(**more):
        directory = None
        if request.param == 'openldap':
            directory = request.getfixturevalue('openldap')
        c = company(directory=directory, **more)
        office(c)
        return c
    return make


@pytest.mark.parametrize('more', [
    'manager = true;', 'manager = false;',
    'manager = true; memberships = false;'])
def test_what_is_shown_is_what_is_sent(filled, more):
    c = filled(more=more)
    # asked before anything ran, and after
    before = {name: sent(c, name.lower() + '@north.example') for name in (
        'First', 'Second', 'Third', 'Boss', 'Top', 'Inner', 'Outer')}
    c.read()
    stream = Stream(c)
    names = {Body(stream, name).mail(): name for name in stream.bodies}
    for mail, name in names.items():
        shown = sent(c, mail)
        assert shown.pop('octets') > 0
        assert shown == Body(stream, name).shown(), name
        name = mail.split('@')[0].capitalize()
        if name in before:
            before[name].pop('octets')
            assert before.pop(name) == shown, name
    # who is not in the stream has nothing to show
    assert not any(before.values()), before
    assert ('boss@north.example' in names) == ('manager = true' in more)
    assert 'top@north.example' not in names


def test_nothing_else_is_shown(filled):
    """Neither what is denied, nor octets, nor names of those who stay."""
    c = filled(more='manager = true; deny = [ "title" ];')
    shown = explain(c, 'first@north.example')
    assert '(%d octets, JPEG)' % len(PHOTO) in shown
    assert 'manager: ' in shown and 'boss@north.example' in shown
    for other in ('Dr.', 'departmentNumber', '\x00', 'shy', 'top@'):
        assert other not in shown, other
    assert 'sent' not in explain(c, 'top@north.example')
    shown = explain(c, 'inner@north.example')
    assert 'members: 2' in shown and 'shy' not in shown.lower()
    shown = explain(c, 'third@north.example')
    assert '\\x85' in shown and '\u0085' not in shown
    shown = explain(c, 'second@north.example')
    assert 'manager' not in shown and 'shy' not in shown.lower()
    c.more += ' source_dn = false;'
    c.policy('auto')
    shown = sent(c, 'first@north.example')
    assert shown['source_dn'] == shown['id']
    assert 'OU=' not in json.dumps(shown).upper()
