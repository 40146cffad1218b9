"""Groups whose members lie on other servers, or in another domain."""

import pytest
from group_source import (dynamic, east, group, in_catalogue, inet, members,
                          names_group, user)
from testbed import slapd
from testbed.reader import Reader, domain

assert east     # a fixture


@pytest.fixture(scope='module')
def uplands(scratch, block, authority):
    """A server of another naming context."""
    server = slapd.Slapd('moors', block.address(19), authority, scratch)
    try:
        yield server.start()
    finally:
        server.stop()


def test_members_on_other_servers(east, uplands, tmp_path):
    """By whole reading, and when one enters, changes, or leaves there."""
    d = east.directory
    anna, bert = inet(d, 'anna'), inet(uplands, 'bert')
    carl = inet(uplands, 'carl')
    far = names_group(uplands, 'far', [carl, anna], uplands.staff, mail=False)
    near = names_group(d, 'near', [anna, bert, far], east.groups)
    reader = Reader(tmp_path, d, more=domain(uplands))
    reader.policy('object = "%s"; groups = "members"; nested = true;' % near)
    first = reader.read()
    assert first['count'] == 3 and first['whole']
    for change, deltas in (
            (lambda: uplands.modify(carl, title='Other'), (0, 1, 0)),
            (lambda: members(uplands, far, add=[bert], drop=[carl]),
             (0, 0, 1)),
            (lambda: members(d, near, add=[carl], drop=[bert]), (1, 0, 0)),
            (lambda: uplands.delete(carl), (0, 0, 1))):
        change()
        said = reader.read()
        assert not said['whole'], reader.log
        assert (said['added'], said['modified'], said['deleted']) == deltas
        assert said['root'] == reader.truth()
    # Without that server there is no list, and so no shorter one.
    uplands.stop()
    try:
        members(d, near, add=['cn=x,' + d.base])
        assert uplands.base in reader.read(expect=1)
        assert uplands.base in reader.read('full', expect=1)
    finally:
        uplands.start()
    assert reader.read()['count'] == 2


def test_members_in_another_domain(family, tmp_path):
    root, child = family.root, family.child
    for one in (root, child):
        one.empty(one.staff)
    far, near = user(child, 'far'), user(root, 'near')
    in_catalogue(family, far)
    sales = group(root, 'sales', [far, near])
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy('object = "%s"; groups = "members";' % sales)
    first = reader.read()
    assert first['count'] == 2 and first['whole'], reader.log
    child.modify(far, title='Other')
    said = reader.read()
    assert said['modified'] == 1 and not said['whole'], reader.log
    assert said['root'] == reader.truth()
    members(root, sales, drop=[far])
    said = reader.read()
    assert said['deleted'] == 1 and not said['whole'], reader.log
    # A dynamic group asks the whole forest, as Exchange does.
    asks = dynamic(root, 'asks', '(|(cn=far)(cn=near))', root.staff)
    reader.policy('object = "%s"; groups = "members";' % asks)
    assert reader.read()['count'] == 2
    members(root, sales, add=[far])
    reader.policy('object = "%s"; groups = "members";' % sales)
    # A domain that is not looked into: what the catalogue has of it.
    reader.write(domain(child).replace('context', 'enabled = false; context'))
    first = reader.read()
    assert first['count'] == 2, reader.log
    assert reader.read()['unchanged']
    root.modify(far, displayName='Far Away')
    said = reader.read()
    assert said['modified'] == 1 and not said['whole'], reader.log
    assert said['root'] == reader.truth()
    members(root, sales, drop=[far])
    assert reader.read()['deleted'] == 1
