"""Restored backups heal; a clone does not start."""

import os
import shutil

from testbed import people
from testbed.star import staff_mails


def churn(forest, first):
    """Change, add and delete someone."""
    rows = sorted(forest.search(forest.staff, '(mail=*)'))
    forest.modify(rows[0], title='Title %d' % first)
    forest.delete(rows[1])
    forest.add_person(first)


def test_a_restored_source_continues_above_its_past(star, pair):
    north, south = pair
    backup = north.save()
    for number in (200, 201, 202):
        churn(north.ldap, number)
        star.sync()
    star.expect_everyone()
    north.restore(backup)
    churn(north.ldap, 203)
    star.sync()
    star.sync()
    star.expect_everyone()
    dn = sorted(north.ldap.search(north.ldap.staff, '(mail=*)'))[0]
    mail = north.ldap.read(dn)['mail'][0].decode()
    assert south.contacts()[mail]['title'] == north.ldap.read(dn)['title']


def test_a_restored_hub_takes_back_what_members_hold(star, pair, clean):
    north, south = pair
    star.hub.stop()
    backup = star.hub.save()
    star.hub.serve()
    star.hub.wait()
    for number in (200, 201):
        churn(north.ldap, number)
        star.sync()
    star.expect_everyone()
    guids = {m: e['objectGUID'] for m, e in south.contacts().items()}
    star.hub.stop()
    star.hub.restore(backup)
    star.hub.serve()
    star.hub.wait()
    star.sync()
    assert {m: e['objectGUID'] for m, e in south.contacts().items()} == guids
    churn(north.ldap, 202)
    star.sync()
    star.sync()
    star.expect_everyone()


def test_a_restored_hub_takes_back_the_newest_registry(star, pair, clean):
    """A member enrolled after the backup is not forgotten."""
    north, south = pair
    star.hub.stop()
    backup = star.hub.save()
    star.hub.serve()
    star.hub.wait()
    clean['west'].populate(4)
    west = star.join('west', clean['west'])
    star.sync()
    star.sync()
    star.expect_everyone()
    star.hub.stop()
    star.hub.restore(backup)
    star.hub.serve()
    star.hub.wait()
    # The first member that talks to the hub gives it back.
    churn(north.ldap, 230)
    star.sync(north, south)
    clean['west'].add_person(55)
    star.sync()
    star.sync()
    star.expect_everyone()
    assert len(west.contacts()) == 20


def test_a_restored_target_gets_what_it_lost(star, pair):
    north, south = pair
    backup = south.save()
    for number in (200, 201):
        churn(north.ldap, number)
        star.sync()
    guids = {m: e['objectGUID'] for m, e in south.contacts().items()}
    south.restore(backup)
    churn(north.ldap, 231)
    star.eventually(lambda: (star.sync(), star.expect_everyone()))
    after = {m: e['objectGUID'] for m, e in south.contacts().items()}
    kept = set(guids) & set(after)
    assert len(kept) == len(guids) - 1
    assert {m: guids[m] for m in kept} == {m: after[m] for m in kept}


def test_a_lost_link_database_is_rebuilt_from_provenance(star, pair):
    north, south = pair
    guids = {m: e['objectGUID'] for m, e in south.contacts().items()}
    for name in os.listdir(south.state):
        if name.startswith('import-'):
            os.unlink(os.path.join(south.state, name))
    churn(north.ldap, 205)
    star.sync()
    star.expect_everyone()
    after = {m: e['objectGUID'] for m, e in south.contacts().items()}
    assert {m: guids[m] for m in after if m in guids} == {
        m: after[m] for m in after if m in guids}
    assert len(set(after) - set(guids)) == 1


def test_a_restored_directory_is_filled_again(star, pair):
    """The import OU came back from a backup without half of its contacts."""
    north, south = pair
    for contact in list(south.contacts().values())[:8]:
        south.ldap.delete(contact['dn'][0].decode())
    star.sync()
    star.expect_everyone()


def test_a_clone_does_not_start(star, pair):
    north, south = pair
    copy = south.state + '.clone'
    shutil.copytree(south.state, copy)
    with open(south.machine, 'w') as out:
        out.write('0123456789abcdef0123456789abcdef\n')
    before = sorted(south.contacts())
    churn(north.ldap, 210)
    north.export()
    for words in (('run', 'partners'), ('run', 'staff'), ('serve',)):
        result = south.call(*words)
        assert result.status == 1, result
        assert 'machine' in result.text
    assert sorted(south.contacts()) == before
    assert south.call('check').status == 1


def test_week_old_messages_change_nothing(star, pair, scratch):
    """Everything that ever lay in the hub's boxes comes once more."""
    north, south = pair
    churn(north.ldap, 220)
    north.export()
    star.eventually(lambda: _some(star.hub.box('SOUTH', 'out')))
    old = star.hub.box('SOUTH', 'out').snapshot(
        os.path.join(star.scratch, 'old'))
    south.fetch()
    churn(north.ldap, 221)
    star.sync()
    star.sync()
    star.expect_everyone()
    before = {m: e['uSNChanged'] for m, e in south.contacts().items()}
    star.hub.box('SOUTH', 'out').replay(old)
    south.call('run', 'partners')
    star.sync()
    assert {m: e['uSNChanged'] for m, e in south.contacts().items()} == before
    assert people.person('north', 221)['mail'] in staff_mails(north.ldap)


def _some(box):
    assert box.names()
