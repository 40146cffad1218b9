"""kill -9 of hub, front, workers and spokes at random moments."""

import os
import random
import signal
import subprocess
import time

import pytest

from testbed import process
from testbed.star import staff_mails


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    """The leak checker of a sanitized build looks on from a process of its
    own; killed, it leaves its parent waiting for ever. Other tests look for
    leaks."""
    monkeypatch.setenv('ASAN_OPTIONS', 'detect_leaks=0')


class Churner:
    """Random changes in the Staff OUs, from a seed."""

    def __init__(self, spokes, dice):
        self.spokes, self.dice, self.number = spokes, dice, 100

    def step(self):
        forest = self.dice.choice(self.spokes).ldap
        self.number += 1
        rows = sorted(forest.search(forest.staff, '(mail=*)'))
        act = self.dice.choice(('add', 'change', 'change', 'delete'))
        if act == 'add' or len(rows) < 8:
            forest.add_person(self.number)
        elif act == 'change':
            forest.modify(self.dice.choice(rows),
                          title='Title %d' % self.number)
        else:
            forest.delete(self.dice.choice(rows))


def turn_and_kill(star, dice):
    """One run of one spoke, during which one random process dies."""
    spoke = dice.choice(star.spokes)
    policy = dice.choice(('staff', 'partners'))
    child = subprocess.Popen(
        spoke.prefix() + ['run', policy], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(dice.random() ** 2 * 1.2)
    victims = [child.pid] + process.children(child.pid) + star.hub.processes()
    victim = dice.choice(victims)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if star.hub.child.poll() is not None or victim == star.hub.child.pid:
        star.hub.kill()
        star.hub.serve()
        star.hub.wait()
    try:
        child.wait(90)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise AssertionError('%s %s hangs after %d was killed' % (
            spoke.member, policy, victim))


def converge(star):
    star.sync()
    star.expect_everyone()


def kills(star, count, seed):
    print('seed', seed)
    dice = random.Random(seed)
    churner = Churner(star.spokes, dice)
    for number in range(count):
        churner.step()
        turn_and_kill(star, dice)
    star.eventually(lambda: converge(star), 120)
    for spoke in star.spokes:
        rows = spoke.contacts(['mail', 'extensionName'])
        marks = [bytes(sorted(e['extensionName'])[0]) for e in rows.values()]
        assert len(set(marks)) == len(marks), 'two contacts for one object'
        assert not set(rows) & set(staff_mails(spoke.ldap))


def seed():
    return int(os.environ.get('SEED', random.randrange(1 << 30)))


def test_thirty_kills(star, three):
    kills(star, 30, seed())


@pytest.mark.soak
def test_two_hundred_kills(star, three):
    kills(star, 200, seed())


def test_a_killed_front_and_worker_come_back(star, three):
    """The hub's supervisor restarts what dies beneath it."""
    star.hub.processes()
    for pid in star.hub.processes()[1:]:
        os.kill(pid, signal.SIGKILL)
    star.eventually(lambda: _answers(star))
    three[0].ldap.add_person(99)
    star.eventually(lambda: converge(star))


def _answers(star):
    assert len(star.hub.processes()) > 1
    star.hub.wait(1)


def test_serving_spokes_follow_changes(star, clean):
    for name, count in (('north', 12), ('south', 8)):
        clean[name].populate(count)
    for name in ('north', 'south'):
        star.join(name, clean[name], export_extra='every = "1s";',
                  import_extra='every = "1s";')
    for spoke in star.spokes:
        spoke.serve()
    star.eventually(star.expect_everyone)
    clean['north'].add_person(80)
    star.eventually(star.expect_everyone)
    for pid in star.spokes[1].processes()[1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    clean['north'].add_person(81)
    star.eventually(star.expect_everyone)
    for part in star.spokes + [star.hub]:
        assert part.stop() == 0, part.log_text()[-2000:]
