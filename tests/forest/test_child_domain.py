"""An Active Directory forest of two domains: found, read and followed at a
controller each, and the global catalogue."""

import pytest
from testbed import dns
from testbed.reader import Reader, domain, ou, uris

MARK = 'filter = "(description=harbour)";'


@pytest.fixture
def names(family, block, tmp_path):
    """The SRV records that the controllers would register."""
    server = dns.Dns(block.address(18), str(tmp_path))
    for one in (family.root, family.child):
        host = '%s.%s' % (one.host.lower(), one.domain)
        server.host(host, one.address)
        server.srv('_ldap._tcp.dc._msdcs.' + one.domain, host, 389)
    yield server.start()
    server.stop()


@pytest.fixture
def clean_family(family):
    for one in (family.root, family.child):
        one.empty(one.staff)
        for number in range(4):
            one.add_person(number)
    return family


def test_domains_are_found(clean_family, names, tmp_path):
    """The configuration names one domain; the other is known to the forest
    and its controller to DNS. What was touched in each is enough."""
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, root, 'domain = "%s";' % root.domain,
                    domain(child, ' '), names.wrap())
    reader.policy(MARK)
    root.add_person(10, description='harbour')
    child.add_person(11, description='harbour')
    first = reader.read()
    assert first['whole'] and first['count'] == 2, reader.log
    for one in (root, child):
        assert 'domain=%s count=1 first=ldaps://%s.%s:636' % (
            one.domain, one.host.lower(), one.domain) in reader.log
    assert reader.read()['unchanged']
    for one, count in ((child, 3), (root, 4)):
        one.add_person(20, description='harbour')
        touched = reader.read()
        assert not touched['whole'], reader.log
        assert touched['feed'] == 'dirsync' and touched['count'] == count
    for dn in child.search(child.staff, '(description=harbour)', ['1.1']):
        child.modify(dn, description='inland')
    touched = reader.read()
    assert not touched['whole'] and touched['deleted'] == 2, reader.log
    assert touched['root'] == reader.truth()


def test_the_site_before_the_others(clean_family, names, block, tmp_path):
    """Of two controllers that DNS names the one of the site is tried first;
    the other stands in for it."""
    root = clean_family.root
    names.stop()
    names.host('away.' + root.domain, block.address(99))
    names.srv('_ldap._tcp.dc._msdcs.' + root.domain, 'away.' + root.domain,
              389, priority=0, weight=65535)
    names.srv('_ldap._tcp.Branch._sites.dc._msdcs.' + root.domain,
              'dc.' + root.domain, 389, priority=9)
    names.srv('_ldap._tcp.Empty._sites.dc._msdcs.' + root.domain,
              'away.' + root.domain, 389)
    names.start()
    reader = Reader(tmp_path, root, wrap=names.wrap())
    reader.policy(ou(root))
    for site, first, lines in (('Branch', 'dc', 0), ('Empty', 'away', 1),
                               ('Unknown', '', None)):
        reader.write(servers='domain = "%s"; site = "%s";' % (
            root.domain, site))
        assert reader.read('full')['count'] == 4
        assert 'count=2 first=ldaps://' + first in reader.log, reader.log
        assert lines is None or lines == reader.log.count(
            'another server answered instead'), reader.log
    reader.write(servers='domain = "x"; site = "two.labels";')
    assert 'no name of a site' in reader.read(expect=1)


@pytest.mark.parametrize('feed', ['usn', 'dirsync'])
def test_units_of_both_domains(clean_family, tmp_path, feed):
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy(ou(root), ou(child), feed=feed)
    assert reader.read()['count'] == 8
    # an OU of the root is not an OU of what lies below it
    reader.policy('ou = "%s";' % root.base, feed=feed)
    before = reader.read(replica='other.db')
    assert before['count'] == 4
    reader.policy(ou(root), ou(child), feed=feed)
    child.add_person(30)
    root.rename(next(iter(root.search(root.staff, '(mail=*)', ['1.1']))),
                'CN=Renamed')
    touched = reader.read()
    assert not touched['whole'] and touched['feed'] == feed, reader.log
    assert touched['count'] == 9 and touched['root'] == reader.truth()


def test_a_domain_ends_where_another_begins(clean_family, tmp_path):
    """Also for what was touched in the other, when that is read for another
    reason, and for who is asked about."""
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy('ou = "%s";' % root.base, 'search = "Nobody*";')
    assert reader.read()['count'] == 4
    beyond = child.add_person(70)
    inside = root.add_person(71)
    touched = reader.read()
    assert not touched['whole'] and touched['count'] == 5, reader.log
    assert touched['root'] == reader.truth()
    for server, dn, exported in ((root, inside, True), (child, beyond, False)):
        said = [row for row in reader.explain(server.read(
            dn, ['mail'])['mail'][0].decode()) if row['dn'] == dn]
        assert [row['exported'] for row in said] == [exported], said


def test_a_domain_out_of_reach(clean_family, names, tmp_path):
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, root, more=domain(child), wrap=names.wrap())
    reader.policy('filter = "(mail=*)";')
    assert reader.read()['count'] == 8
    child.stop()
    try:
        reader.refused(child.base, child.uri)
        assert child.base in reader.read(expect=1)
        said = reader.check()
        assert child.uri in said and 'enabled = false' in said
        # by DNS alone it is no better
        reader.write(domain(child, ' '))
        reader.refused(child.base, 'ldaps://dc2.child.trunk.example:636')
        # what is switched off is not missed
        reader.write(domain(child).replace('context',
                                           'enabled = false; context'))
        assert reader.read(replica='other.db')['count'] == 4
    finally:
        child.start()
        child.wait()
    reader.write(domain(child))
    assert reader.read()['count'] == 8


def test_what_dns_does_not_know(clean_family, names, tmp_path):
    """A child domain without SRV records: the message says what to set."""
    names.stop()
    root, child = clean_family.root, clean_family.child
    names.records = [line for line in names.records if 'child' not in line]
    names.start()
    reader = Reader(tmp_path, root, wrap=names.wrap())
    reader.policy('filter = "(mail=*)";')
    said = reader.read(expect=1)
    for word in (child.base, '_ldap._tcp.dc._msdcs.' + child.domain, 'domains',
                 'say uri'):
        assert word in said, said
    reader.policy(ou(root))
    assert reader.read()['count'] == 4


def test_contexts_that_the_forest_has_not(clean_family, tmp_path):
    root, child = clean_family.root, clean_family.child
    other = 'DC=chlid,' + root.base
    reader = Reader(tmp_path, root, more=domain(child).replace(
        child.base, other, 1))
    reader.policy(ou(root))
    said = reader.read(expect=1)
    for word in (other + ' is no domain of this forest', root.base + '; ' +
                 child.base, 'correct context'):
        assert word in said, said
    # the controller of an entry is one of another domain
    reader.write(domain(child, uris(root.uri)).replace(
        child.service_dn, root.service_dn))
    reader.policy(ou(child))
    said = reader.read(expect=1)
    assert root.uri + ' holds ' + root.base in said, said


def test_check_tells_of_the_forest(clean_family, block, tmp_path):
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy(ou(root), ou(child))
    said = reader.check()
    for word in ('naming context %s at %s' % (root.base, root.uri),
                 'naming context %s at %s' % (child.base, child.uri),
                 'global catalogue at ldaps://%s:3269' % root.address):
        assert word in said, said
    gone = 'ldaps://%s:3269' % block.address(99)
    reader.write(domain(child) + ' global_catalog = [ "%s" ];' % gone)
    said = reader.check()
    assert 'global_catalog: ' + gone in said, said


def test_the_child_first(clean_family, tmp_path):
    """The spoke stands in the child domain; the root is the other one."""
    root, child = clean_family.root, clean_family.child
    reader = Reader(tmp_path, child, more=domain(root))
    reader.policy('filter = "(mail=*)";')
    assert reader.read()['count'] == 8
    root.add_person(40)
    touched = reader.read()
    assert touched['count'] == 9 and not touched['whole'], reader.log


@pytest.mark.parametrize('feed', ['usn', 'dirsync'])
def test_another_controller_of_a_domain(clean_family, tmp_path, feed):
    """A feed's cookie is its controller's: the other one is read whole, which
    finds what was changed and leaves everything else as it was."""
    root, second = clean_family.root, clean_family.second
    reader = Reader(tmp_path, root, uris(root.uri, second.uri))
    reader.policy(ou(root), feed=feed)
    assert reader.read()['count'] == 4
    root.add_person(50)
    second.pull(root)
    second.start()
    second.wait()
    root.stop()
    try:
        taken = reader.read()
        assert taken['whole'] and taken['count'] == 5, reader.log
        assert (taken['added'], taken['modified'], taken['deleted']) == (
            1, 0, 0)
        assert 'another server answered instead uri=' + second.uri in (
            reader.log), reader.log
        assert 'reason="another domain controller' in reader.log
        # from then on it is followed
        assert reader.read()['unchanged']
    finally:
        root.start()
        root.wait()
        second.stop()
    back = reader.read()
    assert back['whole'] and back['root'] == taken['root'], reader.log
    assert 'another domain controller' in reader.log


def test_members_in_the_other_domain(clean_family, block, tmp_path):
    """Read at their own controller; of a domain that is not looked into, in
    the global catalogue, which knows less of them."""
    root, child = clean_family.root, clean_family.child
    inside = root.add_person(60, cn='Member Here', title='Pilot')
    beyond = child.add_person(61, cn='Member There', title='Pilot')
    clean_family.replicate(beyond)
    group = root.add_group('Both', 'both@north.example', [inside, beyond])
    reader = Reader(tmp_path, root, more=domain(child))
    reader.policy('object = "%s"; groups = "members";' % group)
    own = reader.read()
    assert own['count'] == 2, reader.log
    closed = domain(child).replace('context', 'enabled = false; context')
    reader.write(closed)
    taken = reader.read()
    assert taken['count'] == 2 and taken['modified'] == 1, reader.log
    # who is read there is explained, and nobody else who is known there
    said, = reader.explain(child.read(beyond, ['mail'])['mail'][0].decode())
    assert said['exported'] and said['member_of'] == group, said
    other = child.add_person(62)
    clean_family.replicate(other)
    said = reader.explain(child.read(other, ['mail'])['mail'][0].decode())
    assert [row['reason'] for row in said] == ['not_found'], said
    # a search finds nobody out there, and is no error beside the group
    reader.policy('search = "Nobody*";',
                  'object = "%s"; groups = "members";' % group)
    assert reader.read()['count'] == 2
    root.modify(inside, title='Captain')
    said = reader.read()
    assert said['modified'] == 1 and not said['whole'], reader.log
    root.modify(inside, title='Pilot')
    reader.policy('object = "%s"; groups = "members";' % group)
    assert reader.read()['modified'] == 1
    reader.write(domain(child))
    assert reader.read()['root'] == own['root']
    # and no catalogue is no empty one
    reader.write(closed + ' global_catalog = [ "ldaps://%s:3269" ];' %
                 block.address(99))
    reader.refused('global_catalog', block.address(99))
    reader.policy(ou(child))
    reader.refused(child.staff, 'not looked into', 'enabled = true')
