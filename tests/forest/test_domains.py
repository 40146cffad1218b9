"""Several naming contexts, each by its own server: what is read from where,
what happens when a server is gone, and how servers are found."""

import os
import shutil

from ldap.controls.simple import ManageDSAITControl
import pytest
from testbed import dns, people, slapd
from testbed.directory import as_bytes
from testbed.reader import Reader, domain, ou, uris


@pytest.fixture
def pair(openldap, uplands):
    for server in (openldap, uplands):
        # What others left elsewhere would be found by a search.
        for dn in server.search(server.base, '(mail=*)', ['1.1']):
            server.delete(dn)
        server.empty(server.staff)
        server.populate(6)
    return openldap, uplands


def dead(block):
    """An address where nobody listens."""
    return 'ldaps://' + block.address(99)


def test_two_contexts_in_one_policy(pair, tmp_path):
    """Whole, then what was touched in each: the same bytes both ways."""
    east, uplands = pair
    reader = Reader(tmp_path, east, more=domain(uplands))
    reader.policy(ou(east), ou(uplands))
    first = reader.read()
    assert first['whole'] and first['count'] == 12
    assert reader.read()['unchanged']
    uplands.add_person(50)
    touched = reader.read()
    assert not touched['whole'] and touched['added'] == 1, reader.log
    east.add_person(51)
    uplands.delete(next(dn for dn in uplands.search(
        uplands.staff, '(objectClass=person)', ['1.1'])))
    touched = reader.read()
    assert not touched['whole'], reader.log
    assert (touched['added'], touched['deleted']) == (1, 1)
    assert touched['feed'] == 'syncrepl'
    assert touched['root'] == reader.truth()
    assert reader.read()['unchanged']


def test_a_search_looks_into_every_context(pair, tmp_path):
    east, uplands = pair
    east.add_person(60, description='harbour')
    uplands.add_person(61, description='harbour')
    reader = Reader(tmp_path, east)
    reader.policy('filter = "(description=harbour)";')
    assert reader.read()['count'] == 1
    # another context is another place to look, though nothing was written
    reader.write(domain(uplands))
    assert reader.read()['count'] == 2
    uplands.add_person(62, description='harbour')
    touched = reader.read()
    assert touched['count'] == 3 and not touched['whole'], reader.log
    # and one that is switched off is none
    reader.write(domain(uplands).replace('context', 'enabled = false; context'))
    assert reader.read()['count'] == 1


def test_another_server_takes_over(pair, block, tmp_path):
    """The second URI serves when the first is dead, and the log says so."""
    east, uplands = pair
    gone = dead(block)
    reader = Reader(tmp_path, east, uris(gone, east.uri),
                    more=domain(uplands, uris(gone, uplands.uri)))
    reader.policy(ou(east), ou(uplands))
    assert reader.read()['count'] == 12
    lines = [line for line in reader.log.splitlines()
             if 'another server answered instead' in line]
    assert len(lines) == 2, reader.log
    for line, server in zip(lines, (east, uplands)):
        assert 'uri=' + server.uri in line and gone in line


def test_a_context_out_of_reach(pair, block, tmp_path):
    """Nothing of a forest of which a part cannot be read."""
    east, uplands = pair
    reader = Reader(tmp_path, east, more=domain(uplands))
    reader.policy(ou(east), ou(uplands))
    assert reader.read()['count'] == 12
    east.add_person(70)
    uplands.stop()
    try:
        reader.refused(uplands.base, uplands.uri, 'check address')
        said = reader.read(expect=1)
        assert uplands.base in said
        assert uplands.base in reader.check()
        # what needs it not is read
        reader.policy(ou(east))
        assert reader.read(replica='other.db')['count'] == 7
    finally:
        uplands.start()
    reader.policy(ou(east), ou(uplands))
    assert reader.read()['count'] == 13


def test_wrong_contexts(pair, tmp_path):
    east, uplands = pair
    reader = Reader(tmp_path, east, more=domain(uplands))
    reader.policy(ou(east), ou(uplands))
    assert reader.read()['count'] == 12
    reader.policy(ou(east), 'ou = "ou=Staff,dc=nowhere,dc=example";')
    reader.refused('ou=Staff,dc=nowhere,dc=example', 'no naming context',
                   east.base + '; ' + uplands.base, 'directory.domains')
    # the server of an entry holds something else
    reader.policy(ou(east), ou(uplands))
    reader.write(domain(uplands, uris(east.uri)).replace(
        uplands.service_dn, east.service_dn))
    reader.refused(uplands.base, east.uri + ' holds ' + east.base,
                   'correct context or uri')
    reader.write('domains = ( { context = "%s"; }, { context = "%s"; } );' % (
        uplands.base, uplands.base.upper()))
    assert 'there twice' in reader.read(expect=1)
    reader.write('domains = ( { context = "%s"; user = "x"; } );' %
                 uplands.base)
    assert 'belong together' in reader.read(expect=1)
    reader.write(servers='tls = "auto";')
    assert 'say uri' in reader.read(expect=1)
    reader.write(servers='domain = "a..b";')
    assert 'no DNS name' in reader.read(expect=1)


def test_a_referral_to_a_context_that_is_read(pair, tmp_path):
    """Nothing is missing behind it; without that context something is. It is
    not followed either way, nor is one that leads back to itself."""
    east, uplands = pair
    entries = {'ou=Uplands,' + east.staff: uplands.uri + '/' + uplands.base,
               'ou=Self,' + east.staff: '%s/ou=Self,%s' % (east.uri,
                                                           east.staff)}
    for dn, url in entries.items():
        east.link.add_s(dn, [
            ('objectClass', [b'referral', b'extensibleObject']),
            ('ref', [url.encode()])])
    try:
        reader = Reader(tmp_path, east, more=domain(uplands))
        reader.policy('filter = "(mail=*)";')
        assert reader.read()['count'] == 12
        told = [line for line in reader.log.splitlines()
                if 'behind a referral' in line]
        assert len(told) == 1 and 'ou=Self' in told[0], reader.log
        reader.write()
        assert reader.read()['count'] == 6
        assert reader.log.count('behind a referral') == 2, reader.log
    finally:
        for dn in entries:
            east.link.delete_ext_s(dn, serverctrls=[ManageDSAITControl()])


# --- found by DNS ---

@pytest.fixture
def names(block, tmp_path):
    if os.geteuid() != 0:
        pytest.fail('a name server and a mount namespace need root')
    server = dns.Dns(block.address(18), str(tmp_path))
    yield server
    server.stop()


def test_servers_found_by_dns(pair, names, block, tmp_path):
    """First and other servers by SRV; the dead one of the better priority
    costs a line, and certificates have to carry the name."""
    east, uplands = pair
    for server in pair:
        names.host('ldap.' + server.domain, server.address)
        names.host('dead.' + server.domain, block.address(99))
        names.srv('_ldap._tcp.' + server.domain, 'ldap.' + server.domain, 389,
                  priority=20)
        names.srv('_ldap._tcp.' + server.domain, 'dead.' + server.domain, 389,
                  priority=10)
    names.start()
    reader = Reader(tmp_path, east, 'domain = "%s";' % east.domain,
                    domain(uplands, ' '), names.wrap())
    reader.policy(ou(east), ou(uplands))
    assert reader.read()['count'] == 12
    for server in pair:
        assert ('domain=%s count=2 first=ldaps://dead.%s:636' % (
            server.domain, server.domain)) in reader.log, reader.log
        assert 'uri=ldaps://ldap.%s:636' % server.domain in reader.log
    uplands.add_person(80)
    assert not reader.read()['whole'], reader.log
    said = reader.check()
    assert 'naming context %s at ldaps://ldap.%s:636' % (
        uplands.base, uplands.domain) in said
    # plain ports with StartTLS, when that is asked for
    reader.write(domain(uplands, ' ') + ' tls = "starttls";')
    reader.read('full')
    assert 'uri=ldap://ldap.%s:389' % east.domain in reader.log
    # DNS after a uri that does not answer
    reader.write(domain(uplands, ' '), uris(dead(block)) +
                 ' domain = "%s";' % east.domain)
    reader.read('full')
    assert 'asking DNS instead' in reader.log


def test_dns_that_does_not_help(pair, names, block, tmp_path):
    east, uplands = pair
    names.host('ldap.wrong.example', east.address)
    names.srv('_ldap._tcp.wrong.example', 'ldap.wrong.example', 389)
    # a good certificate of its own, but nobody of that domain
    names.host('ldap.east.example', east.address)
    for domain_name in ('forged.example', 'xast.example'):
        names.srv('_ldap._tcp.' + domain_name, 'ldap.east.example', 389)
    names.nobody('_ldap._tcp.closed.example')
    names.start()
    reader = Reader(tmp_path, east, wrap=names.wrap())
    reader.policy(ou(east))
    assert reader.read()['count'] == 6
    for missing in ('none.example', 'closed.example'):
        reader.write(servers='domain = "%s";' % missing)
        reader.refused('DNS has no SRV record _ldap._tcp.dc._msdcs.%s or '
                       '_ldap._tcp.%s' % (missing, missing),
                       'say uri', 'check domain')
    reader.write(servers='domain = "none.example";', more='dialect = "openldap";')
    assert '_msdcs' not in reader.refused('_ldap._tcp.none.example')
    reader.write(servers='domain = "wrong.example";')
    reader.refused('ldaps://ldap.wrong.example:636', 'for another host name')
    for domain_name in ('forged.example', 'xast.example'):
        reader.write(servers='domain = "%s";' % domain_name)
        reader.refused('outside of ' + domain_name, 'ldap.east.example',
                       'say uri')
    # a context whose servers nobody knows
    reader.write('domains = ( { context = "ou=x,o=y"; } );')
    reader.policy('ou = "ou=z,ou=x,o=y";')
    reader.refused('ou=x,o=y', 'no DNS name follows', 'uri')
    names.stop()
    reader.write(servers='domain = "%s";' % east.domain)
    reader.policy(ou(east))
    reader.refused('DNS: _ldap._tcp', '/etc/resolv.conf')


SECOND = '''
database mdb
suffix "dc=second,dc=example"
directory {home}/second
rootdn "cn=admin,dc=second,dc=example"
rootpw {password}
access to * by dn.exact="{service}" read by * none
overlay syncprov
'''


def test_a_context_that_is_gone_stops_what_reads_everywhere(
        scratch, block, authority, tmp_path):
    """A slapd that was started without one of its databases."""
    server = slapd.Slapd('duo', block.address(25), authority, scratch)
    os.makedirs(os.path.join(server.home, 'second'))
    second = SECOND.format(home=server.home, service=server.service_dn,
                           password=server.admin_password)
    try:
        server.restart(overlays=second)
        server.populate(3)
        link = server.connect('cn=admin,dc=second,dc=example')
        for dn, entry in [('dc=second,dc=example', {
                'objectClass': ['dcObject', 'organization'], 'dc': 'second',
                'o': 'second'})] + [
                    ('uid=%d,dc=second,dc=example' % i, people.inet_person(
                        dict(people.person('west', i), mailNickname=str(i))))
                    for i in range(30, 34)]:
            link.add_s(dn, list(as_bytes(entry).items()))
        reader = Reader(tmp_path, server)
        reader.policy('search = "*";')
        assert reader.read()['count'] == 7
        server.restart(overlays='')
        reader.refused('naming context dc=second,dc=example was read last '
                       'time', '--allow-empty', 'enabled = false')
        # who reads one place only loses nothing
        reader.policy(ou(server))
        assert reader.read('empty')['count'] == 3
        server.restart(overlays=second)
        assert reader.read()['deleted'] == 0
        server.restart(overlays='')
        assert reader.read()['count'] == 3
        server.restart(overlays=second)
        reader.policy('search = "*";')
        assert reader.read()['count'] == 7
        server.restart(overlays='')
        assert 'was read last time' in reader.read(expect=1)
        assert reader.read('empty')['count'] == 3
        assert reader.read()['count'] == 3
    finally:
        server.stop()
        shutil.rmtree(server.home)
