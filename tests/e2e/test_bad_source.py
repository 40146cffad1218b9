"""What is wrong with a source: each time a message that names the setting and
the cure, the documented exit status, and nothing published."""

import contextlib
import json
import os
import shutil
import time

from ldap.controls.simple import ManageDSAITControl
import pytest

from testbed import net, slapd
from testbed.star import POLICIES, Star, changed

# A second backend in the same server: it keeps entries in files, and knows
# nothing of pages.
UNPAGED = '''moduleload back_ldif
database ldif
suffix "dc=plain,dc=example"
directory {home}
rootdn "{admin}"
access to * by * read
'''
OTHER_TAG = 'export: ( { name = "other"; tag = "SOURCE/STAFF"; %s } );'


class Source:
    """One slapd, one spoke that has published twelve people of it."""

    def __init__(self, star, ldap_server):
        self.star, self.ldap = star, ldap_server
        self.ldap.populate(12)
        self.spoke = star.join('source', self.ldap, ['west.example'])
        self.spoke.export()
        self.published = self.state()

    def state(self):
        """What is published: at the hub, and as it would be next time."""
        own, = self.spoke.json('status')['own_streams']
        return (self.star.hub.json('streams'), own,
                self.spoke.box('out').names())

    def policy(self, text=POLICIES, **more):
        self.spoke.write_policies(text, **more)

    def refused(self, *words, status=1, directory=True):
        """The run ends with that status and says so; so do count and check,
        where the directory is what is wrong."""
        said = self.spoke.do('run', 'staff', '--full', expect=status).text
        for word in words:
            assert word in said, (word, said)
        if directory:
            said = self.spoke.do('count', 'staff', expect=1).text
            assert words[0] in said, said
            said = self.spoke.do('check', expect=1).text
            assert words[0] in said, said
        assert self.state() == self.published

    def heal(self):
        self.ldap.restart()
        self.ldap.write_secret(self.ldap.password_file,
                               self.ldap.service_password)
        self.policy()
        self.spoke.do('run', 'staff', '--full')
        assert self.state() == self.published


def unpaged(spoke):
    return changed(spoke.conf, 'directory = {',
                   'directory = {\n\tpage_size = 0;')


@pytest.fixture(scope='module')
def running(scratch, block, authority):
    star = Star(os.path.join(scratch, 'bad-source'), block,
                hub_extra='every = "1s";')
    star.default_extra = 'wait = "10s";'
    server = slapd.Slapd('source', block.address(15), authority, scratch)
    try:
        star.start()
        yield Source(star, server.start())
    finally:
        star.stop()
        server.stop()
        shutil.rmtree(star.scratch)
        shutil.rmtree(server.home)


@pytest.fixture
def source(running):
    yield running
    running.heal()


def test_unknown_unit(source):
    source.policy(POLICIES.replace('{staff}', 'ou=Stuff,dc=source,dc=example'))
    source.refused('ou=Stuff,dc=source,dc=example', 'there is no such OU',
                   'correct ou in from of policy staff')


def test_unknown_exclude(source):
    source.policy(POLICIES.replace(
        'scope = "subtree";', 'exclude = [ "ou=None,{staff}" ];'))
    source.refused('ou=None,', 'does not exist', 'correct it in policy staff')


@pytest.mark.parametrize('row', ['allow', 'deny'])
def test_unknown_attribute(source, row):
    source.policy(export_extra='%s = [ "departmentNumbr" ];' % row)
    source.refused('unknown attribute departmentNumbr', row,
                   'correct it, or take it out')


def test_a_filter_that_is_none(source):
    source.policy(POLICIES.replace(
        'ou = "{staff}"; scope = "subtree";', 'filter = "(cn=a=(b))";'))
    source.refused('(cn=a=(b))', 'correct filter in from')


def test_two_policies_with_one_tag(source):
    path = os.path.join(source.spoke.directory, 'policies.d', 'other.conf')
    with open(path, 'w') as out:
        out.write(OTHER_TAG % ('from = ( { ou = "%s"; } );' %
                               source.ldap.staff))
    try:
        said = source.spoke.do('run', 'staff', expect=1).text
        assert 'exports "other" and "staff" have one tag' in said, said
        assert 'change tag' in said
    finally:
        os.unlink(path)
    assert source.state() == source.published


def test_a_tag_of_another_member(source):
    source.policy(POLICIES.replace('{name}/staff', 'SOUTH/staff'))
    said = source.spoke.do('run', 'staff', expect=1).text
    words = 'tag "SOUTH/staff" must start with SOURCE/'
    assert words in said, said
    assert words in source.spoke.do('check', expect=1).text
    assert source.state() == source.published


@pytest.mark.parametrize('below', ['', 'ou=Inner,'])
def test_two_imports_into_one_unit(source, below):
    """check refuses what run refuses, in the same words; one that is off
    only says so."""
    more = ('import: ( { name = "second"; tags = [ "*" ]; into = "%s"; '
            'enabled = %s; } );')
    path = os.path.join(source.spoke.directory, 'policies.d', 'second.conf')
    into = below + source.ldap.partners
    words = 'lies in the OU of import partners'
    try:
        for enabled, status, grade in (('true', 1, 'problem'),
                                       ('false', 0, 'ok')):
            with open(path, 'w') as out:
                out.write(more % (into, enabled))
            said = json.loads(source.spoke.do(
                'run', 'second', '--json', expect=1).out)['error']
            reason = said[said.index('%s %s' % (into, words)):]
            found = [row for row in json.loads(source.spoke.do(
                'check', '--json', expect=(status, 1)).out)
                     if row['what'] == 'second' and reason in row['text']]
            assert [row['result'] for row in found] == [grade], said
            # the first of them is as wrong as the second
            said = source.spoke.call('run', 'partners')
            assert ('OU of import second' in said.text) == (status == 1), said
    finally:
        os.unlink(path)


def test_wrong_password(source):
    source.ldap.write_secret(source.ldap.password_file, 'wrong')
    source.refused('check user and password_file', source.ldap.uri)


def test_expired_certificate(source):
    key, cert = source.ldap.authority.issue(
        'old.source.example', source.ldap.address, days=3,
        wrap=('faketime', '-f', '-10d'))
    with_certificate(source.ldap, key, cert)
    source.refused('certificate has expired: renew it', source.ldap.uri)


def test_certificate_of_another_host(source):
    key, cert = source.ldap.authority.issue(
        'other.source.example', source.ldap.behind)
    with_certificate(source.ldap, key, cert)
    source.refused('is for another host name: write a name in uri',
                   source.ldap.uri)


def with_certificate(server, key, cert):
    """Nobody else would connect either: the port is all to wait for."""
    server.stop()
    server.configure(key=key, cert=cert)
    server.launch()
    deadline = time.monotonic() + 10
    while not net.answers(server.address, server.tls_port):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_untrusted_certificate(source):
    with changed(source.spoke.conf, source.ldap.ca,
                 '/etc/ssl/certs/ca-certificates.crt'):
        source.refused('not trusted: set ca to', source.ldap.uri)


@pytest.mark.parametrize('limits,words', [
    # the limit of a paged search as a whole, reached in the middle
    ('size.soft=5 size.hard=5 size.prtotal=5', 'after 5 entries'),
    # the greatest page
    ('size.soft=100 size.hard=100 size.pr=3', 'illegal pagedResults'),
    # no pages for this account
    ('size.soft=5 size.hard=5 size.prtotal=disabled', 'control not allowed'),
    # too many candidates
    ('size.soft=100 size.hard=100 size.unchecked=3', 'Administrative limit'),
], ids=['total', 'page', 'forbidden', 'unchecked'])
def test_size_limits(source, limits, words):
    source.ldap.restart(limits=limits)
    source.refused(words, source.ldap.base, 'size.prtotal=unlimited',
                   'page_size')


def test_a_size_limit_without_pages(source):
    """What slapd sends before it stops at its limit is not the whole."""
    source.ldap.restart(limits='size.soft=5 size.hard=5')
    with unpaged(source.spoke):
        source.refused('after 5 entries: Size limit exceeded', 'page_size')
        source.ldap.restart(limits='size.soft=12 size.hard=12')
        source.spoke.do('run', 'staff', '--full')
        assert source.state() == source.published


def test_a_server_without_pages(source):
    ldap = source.ldap
    plain = os.path.join(ldap.home, 'plain')
    os.makedirs(plain, exist_ok=True)
    ldap.restart(extra=UNPAGED.format(home=plain, admin=ldap.admin_dn))
    ldap.add('dc=plain,dc=example', {'objectClass': ['dcObject',
                                                     'organization'],
                                     'dc': 'plain', 'o': 'Plain'})
    for number in range(3):
        ldap.add('cn=p%d,dc=plain,dc=example' % number, {
            'objectClass': 'inetOrgPerson', 'cn': 'p%d' % number, 'sn': 'p',
            'mail': 'p%d@west.example' % number})
    # the first place is read, the second cannot be
    source.policy(POLICIES.replace(
        'from = (', 'from = ( {{ ou = "{staff}"; }},'
    ).replace('"{staff}"; scope', '"dc=plain,dc=example"; scope'))
    source.refused('dc=plain,dc=example', 'set page_size = 0')
    with unpaged(source.spoke):
        said = source.spoke.do('count', 'staff').out
    assert 'would export 15 objects' in said, said


def test_a_forbidden_search(source):
    source.ldap.restart(extra='restrict search')
    source.refused('operation restricted', source.ldap.uri)


@contextlib.contextmanager
def referral(server, dn, *urls):
    server.link.add_s(dn, [
        ('objectClass', [b'referral', b'extensibleObject']),
        ('ref', [url.encode() for url in urls])])
    try:
        yield
    finally:
        server.link.delete_ext_s(dn, serverctrls=[ManageDSAITControl()])


def test_referrals_in_a_circle(source, slapd_factory):
    """Two servers point at each other, one at itself: each run ends, says
    what it does not see, and loses nothing of what is here."""
    here, spoke = source.ldap, source.spoke
    there = slapd_factory('there', host=16)
    hole = here.add('ou=Hole,' + here.staff, {
        'objectClass': 'organizationalUnit', 'ou': 'Hole'})
    other, self, back = ('ou=Other,' + here.staff, 'ou=Self,' + hole,
                         'ou=Back,' + there.staff)
    with referral(here, other, '%s/%s' % (there.uri, there.staff),
                  'ldap://127.0.0.1:1/' + there.staff), \
            referral(here, self, '%s/%s' % (here.uri, self)), \
            referral(there, back, '%s/%s' % (here.uri, here.staff)):
        said = spoke.json('run', 'staff', '--full')
        assert said['referrals'] == 2, said
        said = spoke.do('run', 'staff', '--full').text
        assert there.uri in said and self in said, said
        assert '2 referrals not followed' in said
        assert '2 referrals' in spoke.do('count', 'staff').out
        said = spoke.do('check', expect=4).out
        assert 'behind the referral ' + there.uri in said, said
        assert source.state() == source.published
        # what is left out on purpose is not missed
        source.policy(POLICIES.replace(
            'scope = "subtree";', 'exclude = [ "%s" ];' % hole))
        spoke.call('run', 'staff')
        assert spoke.json('count', 'staff')['referrals'] == 1
    here.delete(hole)


def test_a_place_on_another_server(source):
    """The unit itself is a referral: an error, not an empty place."""
    unit = 'ou=Away,' + source.ldap.base
    source.policy(POLICIES.replace('{staff}', 'ou=In,' + unit))
    with referral(source.ldap, unit, 'ldap://127.0.0.1:1/' + unit):
        source.refused('lies on another server', unit, 'set uri')
    source.ldap.restart(extra='referral ldap://127.0.0.1:1')
    source.policy(POLICIES.replace('{staff}', 'dc=elsewhere,dc=example'))
    source.refused('lies in no naming context', 'dc=elsewhere',
                   source.ldap.base, 'domains')


def test_questions_without_an_answer(source):
    """count, explain and who-sees: asked wrongly, or in vain."""
    spoke = source.spoke
    for name in ('', 'nobody', 'partners', '../staff'):
        said = spoke.do('count', name, expect=2).text
        assert 'no export policy is called "%s"' % name in said, said
        assert 'galspoke status lists them' in said
    for command in ('explain', 'who-sees'):
        for address in ('', ' ', 'nobody', '@west.example', 'a@', 'a b@c.d',
                        '*@west.example', 'x@west.example)(mail=*'):
            said = spoke.do(command, address, expect=(1, 2))
            assert not said.out, said
            assert 'no mail address' in said.err or said.status == 1, said
        said = spoke.do(command, 'nobody@west.example', expect=1).text
        assert 'nobody@west.example' in said
    for command in ('count', 'explain', 'release', 'run', 'who-sees'):
        assert 'usage: ' in spoke.do(command, expect=2).err
        spoke.do(command, 'a', 'b', expect=2)
    mail = next(iter(source.ldap.search(
        source.ldap.staff, '(mail=*)', ['mail']).values()))['mail'][0].decode()
    assert 'staff: exported' in spoke.do('explain', mail).out
    source.ldap.stop()
    for argv in (('count', 'staff'), ('explain', mail)):
        for more in ((), ('--json',)):
            said = spoke.do(*argv, *more, expect=1)
            assert source.ldap.uri in said.err and not said.out, said
            assert 'check address, port, firewall' in said.err, said
    source.refused(source.ldap.uri, 'check address, port')
    # what was published needs no directory
    assert 'nobody' in spoke.do('who-sees', mail).out
