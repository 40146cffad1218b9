"""Groups on real directories, and an export policy that chooses some."""

import base64
import json
import os
import re
import sqlite3
import subprocess

import ldap
import pytest
from test_collect import Source
from testbed import people

POLICY = '''export: ( {{
	name = "staff";
	{settings}
	from = ( {chosen} );
	feed = "{feed}";
	max_delete_percent = 100;
}} );
'''
SECURITY, DISTRIBUTION = -2147483648, 0
GLOBAL, LOCAL, UNIVERSAL = 2, 4, 8
MAIL = re.compile(rb'SMTP:([a-z0-9.-]+)@')


class Chosen(Source):
    """A source whose entries of `from` the test writes."""

    def choose(self, *chosen, feed='auto', settings=''):
        with open(os.path.join(self.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(POLICY.format(
                feed=feed, settings=settings, chosen=',\n'.join(
                    '{ %s }' % text for text in chosen)))

    def policy(self, feed, proof='1d'):
        pass

    def exported(self, replica='own.db'):
        """First parts of the primary addresses."""
        with sqlite3.connect(os.path.join(self.home, replica)) as db:
            bodies = [row[0] for row in db.execute(
                'SELECT body FROM object WHERE deleted = 0')]
        return sorted(MAIL.search(body).group(1).decode()
                      for body in bodies)

    def seen(self, *more):
        self.read(*more)
        assert not self.truth_differs()
        return self.exported()

    def truth_differs(self):
        """The difference to what a reader of everything finds now."""
        with sqlite3.connect(os.path.join(self.home, 'own.db')) as db:
            own = db.execute('SELECT root FROM state').fetchone()[0].hex()
        if own == self.truth():
            return set()
        return set(self.exported()) ^ set(self.exported('truth.db')) or {'?'}


def user(forest, name, parent=None, **more):
    """A user by a short name; returns the DN."""
    entry = dict(people.person('north', 0), cn=name, displayName=name,
                 sAMAccountName=name, mailNickname=name,
                 mail=name + '@north.example',
                 proxyAddresses=['SMTP:%s@north.example' % name],
                 legacyExchangeDN=people.exchange_dn('north', name))
    entry.update(more)
    return forest.add('CN=%s,%s' % (name, parent or forest.staff),
                      people.ad_user(entry))


def group(forest, name, members=(), parent=None, mail=True, scope=UNIVERSAL,
          kind=DISTRIBUTION):
    entry = {'objectClass': 'group', 'cn': name, 'sAMAccountName': name,
             'groupType': str(kind + scope)}
    if mail:
        entry.update(mail=name + '@north.example', mailNickname=name,
                     displayName=name,
                     proxyAddresses=['SMTP:%s@north.example' % name])
    if members:
        entry['member'] = list(members)
    return forest.add('CN=%s,%s' % (name, parent or forest.staff), entry)


def members(forest, dn, add=(), drop=()):
    forest.link.modify_s(dn, [
        (verb, 'member', [m.encode() for m in names])
        for verb, names in ((ldap.MOD_ADD, add), (ldap.MOD_DELETE, drop))
        if names])


@pytest.fixture
def source(clean, tmp_path):
    forest = clean['north']
    made = Chosen(forest, tmp_path, 'auto')
    made.groups = made.unit('Groups', forest.base)
    yield made
    # People first: a group that is somebody's primary one cannot go.
    for dn in forest.search(
            forest.base, '(&(objectCategory=person)(mailNickname=*))',
            ['1.1']):
        forest.delete(dn)
    for place in (forest.staff, forest.partners):
        forest.empty(place)
    for place in (made.second, made.groups):
        forest.empty(place)
        forest.delete(place)


def dynamic(forest, name, filter, parent, base=None, **more):
    entry = {'objectClass': 'msExchDynamicDistributionList', 'cn': name,
             'displayName': name, 'mail': name + '@north.example',
             'proxyAddresses': 'SMTP:%s@north.example' % name,
             'mailNickname': name}
    if filter:
        entry['msExchDynamicDLFilter'] = filter
    if base:
        entry['msExchDynamicDLBaseDN'] = base
    entry.update(more)
    return forest.add('CN=%s,%s' % (name, parent), entry)


@pytest.fixture
def east(openldap, tmp_path):
    made = Chosen(openldap, tmp_path, 'auto')
    made.groups = made.unit('Groups', openldap.base)
    return made


def inet(server, name, parent=None):
    return server.add('cn=%s,%s' % (name, parent or server.staff), {
        'objectClass': 'inetOrgPerson', 'cn': name, 'sn': name,
        'mail': name + '@east.example'})


def names_group(server, name, members, parent, unique=False, mail=True):
    attribute = 'uniqueMember' if unique else 'member'
    entry = {'objectClass': ['groupOfUniqueNames' if unique
                             else 'groupOfNames'],
             'cn': name, attribute: list(members)}
    if mail:
        entry['objectClass'].append('extensibleObject')
        entry['mail'] = name + '@east.example'
    return server.add('cn=%s,%s' % (name, parent), entry)


# Only from within may an entry be given the id that it has elsewhere.
MIRROR = """
import base64, json, sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(sys.argv[2], session_info=system_session(), lp=lp)
entry = {name: [base64.b64decode(v) for v in values]
         for name, values in json.load(sys.stdin).items()}
db.add(entry | {'dn': sys.argv[3]}, controls=['relax:0'])
"""


def in_catalogue(family, dn):
    """The child's entry in the root's catalogue, with the id that it has."""
    parent, root = dn.split(',', 1)[1], family.root
    if not root.search(family.child.base, '(distinguishedName=%s)' % parent,
                       ['1.1']):
        root.add(parent, {'objectClass': 'organizationalUnit'})
    entry = family.child.read(dn, ['objectGUID', 'cn', 'displayName', 'mail',
                                   'mailNickname', 'proxyAddresses'])
    entry['objectClass'] = [b'contact']
    entry['targetAddress'] = entry['proxyAddresses']
    subprocess.run(
        ['/usr/bin/python3', '-c', MIRROR, root.home + '/smb.conf',
         root.home + '/private/sam.ldb', dn], check=True, text=True,
        input=json.dumps({name: [base64.b64encode(v).decode() for v in values]
                          for name, values in entry.items()}))
