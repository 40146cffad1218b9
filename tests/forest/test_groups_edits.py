"""Random edits of groups: reading what was touched and reading all agree."""

import ldap
import pytest
from group_source import (SECURITY, UNIVERSAL, dynamic, east, group,
                          names_group, source)
from test_collect import Editor, random_edits

assert source and east  # fixtures


class GroupEditor(Editor):
    """Edits of who belongs to which group, among the others."""

    EDITS = Editor.EDITS + 2 * [
        'join', 'join', 'leave', 'nest', 'part', 'move_group', 'ask', 'delete',
        'rename_group'] + ['primary', 'primary']

    def settle_residents(self):
        super().settle_residents()
        d, g = self.directory, self.source.groups
        self.attribute, self.groups, self.asked = 'member', [], []
        # Out of all places: only groups bring them.
        self.far = self.source.unit('Far', d.base)
        for i in range(3):
            self.number += 1
            self.create('Resident %d' % self.number, self.far)
        stay = sorted(d.search(self.far, '(cn=Resident*)', ['1.1']))
        for i in range(5):
            name, parent = 'group%d' % i, d.staff if i == 4 else g
            if self.ad:
                self.groups.append(group(
                    d, name, [stay[i % 3]], parent, mail=i % 2,
                    scope=UNIVERSAL, kind=SECURITY))
            else:
                self.groups.append(names_group(
                    d, name, [stay[i % 3]], parent, mail=i % 2))
        if self.ad:
            self.asked = [dynamic(d, 'asked', '(|(title=T1*)(cn=Resident*))', g)]
        self.source.choose(*self.chosen(), feed=self.source.feed)

    def chosen(self):
        d = self.directory
        return (
            'ou = "%s"; exclude = [ "%s" ]; groups = "both"; nested = true;'
            % (d.staff, self.source.hole),
            'ou = "%s";' % self.source.second,
            'object = "%s"; groups = "members"; nested = true; depth = 2;'
            % self.groups[0],
            'object = "%s"; groups = "both";' % self.groups[1]) + tuple(
                'object = "%s"; groups = "members";' % dn
                for dn in self.asked)

    def units(self):
        return super().units() + [self.far]

    def one(self):
        return self.rng.choice(self.groups)

    def change(self, dn, verb, value):
        try:
            self.directory.link.modify_s(
                dn, [(verb, 'member', [value.encode()])])
        except (ldap.TYPE_OR_VALUE_EXISTS, ldap.ALREADY_EXISTS,
                ldap.NO_SUCH_ATTRIBUTE, ldap.UNWILLING_TO_PERFORM,
                ldap.OBJECT_CLASS_VIOLATION):
            pass

    def members(self, dn):
        return sorted(value.decode() for value in self.directory.read(
            dn, ['member']).get('member', []))

    def everybody(self):
        found = self.people() + list(self.directory.search(
            self.far, '(&(objectClass=person)(!(cn=Resident*)))', ['1.1']))
        return sorted(found)

    def join(self):
        self.change(self.one(), ldap.MOD_ADD, self.rng.choice(
            self.everybody()))

    def leave(self):
        dn = self.one()
        mine = [m for m in self.members(dn) if 'Resident' not in m]
        if mine:
            self.change(dn, ldap.MOD_DELETE, self.rng.choice(mine))

    def nest(self):
        self.change(self.one(), ldap.MOD_ADD, self.one())

    def part(self):
        self.change(self.one(), ldap.MOD_DELETE, self.one())

    def change_dn(self, dn, rdn, parent=None):
        self.directory.rename(dn, rdn, parent)
        new = '%s,%s' % (rdn, parent or dn.split(',', 1)[1])
        self.groups = [new if old == dn else old for old in self.groups]
        if not self.ad:     # nobody keeps references there
            for other in self.groups:
                if dn.lower() in [m.lower() for m in self.members(other)]:
                    self.change(other, ldap.MOD_ADD, new)
                    self.change(other, ldap.MOD_DELETE, dn)

    def move_group(self):
        dn = self.groups[self.rng.randrange(2, 5)]
        self.change_dn(dn, dn.split(',')[0], self.rng.choice(
            [self.directory.staff, self.source.hole, self.source.groups]))

    def rename_group(self):
        dn = self.groups[self.rng.randrange(2, 5)]
        self.number += 1
        self.change_dn(dn, '%s=renamed%d' % (dn[:2], self.number))

    def ask(self):
        """What the dynamic group asks for, or who answers it. Not with a
        broken filter: whom it found last stay, and a first reader knows
        nobody of them."""
        if not self.asked:
            return
        if self.rng.randrange(3):
            self.directory.modify(self.rng.choice(self.everybody()),
                                  title='T%d' % self.rng.randrange(9))
        else:
            self.directory.modify(
                self.asked[0], msExchDynamicDLFilter=
                '(|(title=T%d*)(cn=Resident*))' % self.rng.randrange(9))

    def primary(self):
        if not self.ad:
            return
        dn, who = self.one(), self.rng.choice(self.everybody())
        old = self.directory.read(who, ['primaryGroupID'])
        if old['primaryGroupID'] != [b'513']:
            self.directory.modify(who, primaryGroupID=513)
            return
        self.change(dn, ldap.MOD_ADD, who)
        sid = self.directory.read(dn, ['objectSid'])['objectSid'][0]
        self.directory.modify(
            who, primaryGroupID=int.from_bytes(sid[-4:], 'little'))


@pytest.mark.parametrize('feed', ['dirsync', 'usn'])
def test_random_edits_of_active_directory(source, feed):
    source.feed = feed
    try:
        random_edits(source, feed, make=GroupEditor)
    finally:
        source.directory.delete(source.unit('Far', source.directory.base))


def test_random_edits_of_openldap(east):
    east.feed = 'auto'
    try:
        random_edits(east, 'syncrepl', make=GroupEditor)
    finally:
        east.directory.delete(east.unit('Far', east.directory.base))
