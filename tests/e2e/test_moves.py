"""Addresses that go from one person to another, at real domain controllers."""

import os
import random
import signal
import subprocess
import time

import pytest

NAMES = ('mail', 'proxyAddresses', 'targetAddress', 'legacyExchangeDN',
         'objectGUID', 'displayName')


class People:
    """People at a source, each with addresses of his own; which he has at the
    moment is told by places: where person i stands."""

    def __init__(self, forest, count):
        self.forest, self.count = forest, count
        self.places = list(range(count))
        self.dns = [forest.add_person(
            number, cn='Mover %d' % number, displayName='Mover %d' % number,
            **self.addresses(number)) for number in range(count)]

    @staticmethod
    def addresses(place):
        mail = 'place%d@north.example' % place
        return {'mail': mail, 'proxyAddresses': [
            'SMTP:' + mail, 'smtp:second%d@north.example' % place,
            'X500:/o=Old/cn=place%d' % place]}

    def move(self, places):
        for person, place in enumerate(places):
            if place != self.places[person]:
                self.forest.modify(self.dns[person], **self.addresses(place))
        self.places = list(places)

    def seen(self, target):
        """By display name; every contact has to be one of them, once."""
        rows = list(target.ldap.search(
            target.ldap.partners, target.ldap.contact_filter,
            list(NAMES)).values())
        found = {row['displayName'][0].decode(): row for row in rows}
        assert len(found) == len(rows) == self.count
        return found

    def expect(self, target):
        """Everybody has what he should have, and nobody else has it."""
        found = self.seen(target)
        for person, place in enumerate(self.places):
            row = found['Mover %d' % person]
            want = self.addresses(place)
            assert row['mail'] == [want['mail'].encode()]
            assert row['targetAddress'] == [b'SMTP:' + want['mail'].encode()]
            have = {value.decode() for value in row['proxyAddresses']}
            assert have >= set(want['proxyAddresses'])
            assert not {value for value in have if 'place' in value
                        or 'second' in value} - set(want['proxyAddresses'])
        return found

    def expect_unique(self, target):
        """Nobody has the primary address of another, whatever happened."""
        mails = []
        for row in self.seen(target).values():
            proxies = [value for value in row.get('proxyAddresses', [])
                       if value.startswith(b'SMTP:')]
            assert len(proxies) <= 1
            assert [b'SMTP:' + mail for mail in row.get('mail', [])] == proxies
            assert row.get('targetAddress', []) == proxies
            mails += proxies
        assert len(set(mails)) == len(mails)


@pytest.fixture
def movers(star, clean):
    """A source with eight movers, its spoke, and a target in step."""
    people = People(clean['north'], 8)
    source, target = star.join('north', clean['north']), \
        star.join('south', clean['south'])
    star.sync()
    star.sync()
    people.expect(target)
    return people, source, target


def turn(people, places, source, target):
    people.move(places)
    source.export()
    return target.json('run', 'partners')


def test_swaps_and_rings_are_modifications_of_those_people(movers):
    people, source, target = movers
    before = people.expect(target)
    for places in (
            [1, 0, 2, 3, 4, 5, 6, 7],       # two
            [0, 1, 4, 2, 3, 6, 5, 7],       # back, three and another two
            [7, 1, 4, 0, 2, 3, 6, 5],       # all in rings
            [8, 7, 1, 4, 0, 2, 3, 6]):      # a chain into a free place
        changed = sum(a != b for a, b in zip(places, people.places))
        said = turn(people, places, source, target)
        assert (said['added'], said['modified'], said['deleted'],
                said.get('renamed', 0)) == (0, changed, 0, 0), said
        assert said['exists'] == 0, said
        after = people.expect(target)
        for name, row in after.items():
            for kept in ('objectGUID', 'legacyExchangeDN'):
                assert row[kept] == before[name][kept]
        assert target.json('run', '--full', 'partners')['modified'] == 0


def test_an_address_of_one_who_goes(movers):
    people, source, target = movers
    people.forest.delete(people.dns[0])
    people.forest.modify(people.dns[1], **people.addresses(0))
    people.forest.add_person(
        50, cn='New Comer', displayName='New Comer', **people.addresses(1))
    source.export()
    said = target.json('run', 'partners')
    assert (said['added'], said['modified'], said['deleted'],
            said['exists']) == (1, 1, 1, 0), said
    rows = target.contacts()
    assert rows['place0@north.example']['displayName'] == [b'Mover 1']
    assert rows['place1@north.example']['displayName'] == [b'New Comer']
    assert len(rows) == 8


def test_somebody_of_this_forest_blocks_as_ever(movers):
    people, source, target = movers
    target.ldap.add_contact('Not Ours', 'second9@north.example')
    people.forest.modify(people.dns[0], mail='second9@north.example',
                         proxyAddresses=['SMTP:second9@north.example'])
    people.forest.modify(people.dns[1], **people.addresses(0))
    people.forest.modify(people.dns[2], **people.addresses(1))
    source.export()
    said = target.json('run', 'partners')
    assert (said['deleted'], said['exists']) == (1, 1), said
    notes = target.json('status')['policies']
    assert not [note for policy in notes for note in policy.get('notes', [])
                if note['kind'] == 'quarantined']
    rows = target.contacts()
    assert rows['place0@north.example']['displayName'] == [b'Mover 1']
    assert rows['place1@north.example']['displayName'] == [b'Mover 2']


@pytest.mark.parametrize('who', range(3))
def test_one_of_a_ring_that_may_not_be_written(movers, who):
    """The others keep what they have; with the right back, all get theirs."""
    people, source, target = movers
    rows = people.expect(target)
    forest = target.ldap
    dn, = [dn for dn, row in forest.search(
        forest.partners, forest.contact_filter, ['objectGUID']).items()
        if row['objectGUID'] == rows['Mover %d' % who]['objectGUID']]
    before = forest.access(dn)
    forest.grant(dn, '(OD;;WP;bf967961-0de6-11d0-a285-00aa003049e2;;%s)'
                 % forest.sid_of(forest.service_dn))      # mail
    people.move([1, 2, 0, 3, 4, 5, 6, 7])
    source.export()
    said = target.do('run', '--json', 'partners', expect=4).out
    assert '"quarantined":1' in said and '"exists":2' in said, said
    assert '"modified":0' in said, said
    held = people.seen(target)
    for name in ('Mover 0', 'Mover 1', 'Mover 2'):
        for key in ('mail', 'targetAddress', 'proxyAddresses'):
            assert sorted(held[name][key]) == sorted(rows[name][key])
    forest.set_access(dn, before)
    said = target.json('run', '--full', 'partners')
    assert said['modified'] == 3, said
    people.expect(target)


def test_killed_at_any_moment(star, movers, monkeypatch):
    monkeypatch.setenv('ASAN_OPTIONS', 'detect_leaks=0')
    people, source, target = movers
    seed = int(os.environ.get('SEED', random.randrange(1 << 30)))
    print('seed', seed)
    dice = random.Random(seed)
    for _ in range(6):
        places = list(range(people.count))
        dice.shuffle(places)
        people.move(places)
        source.export()
        child = subprocess.Popen(
            target.prefix() + ['run', 'partners'], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * 0.4)
        try:
            os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        star.eventually(lambda: settle(people, target))


def settle(people, target):
    """What the killed one had sent may be written a little later."""
    people.expect_unique(target)
    said = target.json('run', '--full', 'partners')
    assert (said['added'], said['deleted'], said['exists']) == (0, 0, 0), said
    people.expect(target)
