"""Who moves from one group into another while they are read is in one of them
all the time, and is not deleted."""

import os

import pytest
from group_source import (Chosen, group, inet, members, names_group, source,
                          user)
from test_collect_faults import Trap, private

CROWD = 120
PEOPLE = ('anna', 'bert', 'carl', 'dora')
assert source and private   # fixtures


@pytest.fixture
def north(source):
    d = source.directory
    people = [user(d, name, source.second) for name in PEOPLE]
    crowd = [d.add('CN=c%d,%s' % (i, source.second), {
        'objectClass': 'contact', 'cn': 'c%d' % i}) for i in range(CROWD)]
    return prepare(source, group, people, crowd)


@pytest.fixture
def east(private, tmp_path):
    made = Chosen(private(), tmp_path, 'auto')
    d = made.directory
    made.groups = made.unit('Groups', d.base)
    people = [inet(d, name, made.second) for name in PEOPLE]
    crowd = [d.add('cn=c%d,%s' % (i, made.second), {
        'objectClass': 'inetOrgPerson', 'cn': 'c%d' % i, 'sn': 'c'})
        for i in range(CROWD)]
    return prepare(made, names_group, people, crowd)


def prepare(made, group, people, crowd):
    """Groups that are read in this order: into, crowd, out. Of the crowd, whom
    nobody could write to, only the list of members is large."""
    d = made.directory
    made.anna, bert, made.carl, made.dora = people
    made.into, made.crowd, made.out = (
        group(d, name, some, made.groups, mail=False) for name, some in (
            ('into', [made.carl]), ('crowd', crowd),
            ('out', [made.anna, bert, made.dora])))
    made.places = ['object = "%s"; groups = "members";' % dn
                   for dn in (made.into, made.crowd, made.out)]
    return made


def relayed(made, spring):
    d = made.directory
    port = getattr(d, 'tls_port', 636)
    trap = Trap((d.behind, port), (d.address, port), spring)
    conf = os.path.join(made.home, 'spoke.conf')
    with open(conf) as f:
        text = f.read()
    with open(conf, 'w') as out:
        out.write(text.replace(d.address, d.behind))
    return trap


def hit(made, trap):
    """Lets anna move at one point of a reading after the other, until it is
    between the reading of the one group and that of the other."""
    d = made.directory
    trap.set(None)
    d.modify(made.carl, title='Counted')
    assert made.read()['modified'] == 1
    whole = trap.passed
    assert whole > CROWD * 40
    for part in [*range(14, 20), *range(2, 14)]:
        d.modify(made.carl, title='Part %d' % part)
        trap.set(whole * part // 20)
        said = made.read()
        assert trap.limit is None       # she moved
        trap.set(None)
        assert (said['added'], said['deleted']) == (0, 0), made.log
        assert made.exported() == sorted(PEOPLE)
        if 'groups were read again' in made.log:
            return whole * part // 20
        members(d, made.out, add=[made.anna])
        members(d, made.into, drop=[made.anna])
        said = made.read()
        assert (said['added'], said['deleted']) == (0, 0), made.log
    raise AssertionError('she was never between them')


def moves_while_it_is_read(made, feed):
    d = made.directory
    made.choose(*made.places, feed=feed)

    def move():
        members(d, made.into, add=[made.anna])
        members(d, made.out, drop=[made.anna])

    trap = relayed(made, move)
    try:
        assert made.read()['count'] == 4
        at = hit(made, trap)
        # it is as if she had always been there
        said = made.read()
        assert (said['added'], said['deleted']) == (0, 0), made.log
        assert not made.truth_differs()
        # and nobody stays who left them all, before or while they are read
        trap.spring = lambda: members(d, made.into, drop=[made.anna])
        members(d, made.out, drop=[made.dora])
        trap.set(at)
        said = made.read()
        assert trap.limit is None
        assert 'groups were read again' in made.log
        assert said['deleted'] == 1
        assert made.exported() == ['anna', 'bert', 'carl']
        assert made.read()['deleted'] == 1
        assert made.exported() == ['bert', 'carl']
        assert not made.truth_differs()
    finally:
        trap.close()


@pytest.mark.parametrize('feed', ['full', 'auto'])
def test_active_directory(north, feed):
    moves_while_it_is_read(north, feed)


@pytest.mark.parametrize('feed', ['full', 'auto'])
def test_openldap(east, feed):
    moves_while_it_is_read(east, feed)
