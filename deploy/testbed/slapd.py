"""An OpenLDAP server with people in ou=Staff and an import OU."""

import base64
import os
import subprocess

from . import net, people, process
from .directory import Directory, as_bytes

CONFIGURATION = '''include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {home}/slapd.pid
argsfile {home}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
sizelimit size.soft=1000 size.hard=1000 size.prtotal=unlimited
threads 4
TLSCACertificateFile {ca}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
TLSVerifyClient never
{extra}
database mdb
suffix "{base}"
rootdn "{admin_dn}"
rootpw {admin_password}
directory {home}/data
maxsize {maxsize}
envflags {envflags}
limits dn.exact="{service_dn}" {limits}
index objectClass,entryUUID,entryCSN eq
index uid,mail,labeledURI eq
index cn eq
access to attrs=userPassword by anonymous auth by * none
{access}
access to dn.subtree="{partners}" by dn.exact="{service_dn}" write by * none
access to * by dn.exact="{service_dn}" read by * none
overlay syncprov
syncprov-checkpoint 100 10
syncprov-sessionlog 10000
{overlays}'''

# access and limits: what comes before the general rules, and of the service
# account.
SETTINGS = {'maxsize': 4 << 30, 'envflags': 'nosync', 'extra': '',
            'overlays': '', 'access': '',
            'limits': 'size.soft=1000 size.hard=1000 size.prtotal=unlimited'}


class Slapd(Directory):
    contact_filter = '(objectClass=inetOrgPerson)'

    def __init__(self, name, address, authority, scratch, domain=None,
                 debug=0, **settings):
        super().__init__()
        self.debug = debug      # slapd.conf(5) loglevel, into its log
        self.name, self.address = name, address
        self.behind = net.relay_address(address)
        self.domain = domain or name + '.example'
        self.base = ','.join('dc=' + p for p in self.domain.split('.'))
        self.staff, self.partners = ('ou=%s,%s' % (unit, self.base)
                                     for unit in ('Staff', 'Partners'))
        low = os.geteuid() == 0
        self.port, self.tls_port = (389, 636) if low else (10389, 10636)
        self.uri = 'ldaps://%s' % address + ('' if low else
                                             ':%d' % self.tls_port)
        self.authority, self.ca = authority, authority.ca
        self.home = os.path.join(scratch, 'slapd-' + name)
        self.log = os.path.join(self.home, 'output')
        self.admin_dn = 'cn=admin,' + self.base
        self.admin_password = 'Passw0rd.admin'
        self.service_dn = 'cn=svc-galrelay,' + self.base
        self.service_password = 'Passw0rd.relay'
        self.password_file = os.path.join(scratch, name + '.password')
        self.child = None
        self.conf = os.path.join(self.home, 'slapd.conf')
        os.makedirs(os.path.join(self.home, 'data'), mode=0o700)
        key, cert = self.authority.issue('ldap.' + self.domain, self.address,
                                          self.behind)
        self.settings = {**SETTINGS, 'key': key, 'cert': cert, **settings}
        self.configure()
        self.write_secret(self.password_file, self.service_password)

    def configure(self, **settings):
        """Writes the configuration, with some of SETTINGS, key and cert
        changed; it counts from the next start."""
        settings = dict(self.settings, **settings)
        assert set(settings) == set(SETTINGS) | {'key', 'cert'}, settings
        with open(self.conf, 'w') as out:
            out.write(CONFIGURATION.format(
                home=self.home, ca=self.ca, base=self.base,
                partners=self.partners, admin_dn=self.admin_dn,
                admin_password=self.admin_password,
                service_dn=self.service_dn, **settings))

    def restart(self, **settings):
        """Another configuration, the same entries; without settings the
        first one again."""
        self.stop()
        self.configure(**settings)
        return self.start()

    def skeleton(self):
        return [
            (self.base, {'objectClass': ['dcObject', 'organization'],
                         'dc': self.domain.split('.')[0], 'o': self.name}),
            (self.staff, {'objectClass': 'organizationalUnit',
                          'ou': 'Staff'}),
            (self.partners, {'objectClass': 'organizationalUnit',
                             'ou': 'Partners'}),
            (self.service_dn, {
                'objectClass': ['organizationalRole', 'simpleSecurityObject'],
                'cn': 'svc-galrelay',
                'userPassword': self.service_password})]

    def slapadd(self, entries=()):
        """Load offline, the skeleton first. `entries` may be a generator of
        (dn, entry) and may be long."""
        child = subprocess.Popen(
            ['/usr/sbin/slapadd', '-q', '-f', self.conf],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        try:
            for dn, entry in self.skeleton():
                child.stdin.write(ldif(dn, entry))
            for dn, entry in entries:
                child.stdin.write(ldif(dn, entry))
        except BrokenPipeError:
            pass
        message = child.communicate()[1]
        if child.returncode != 0:
            raise RuntimeError('slapadd: ' + message.decode()[-2000:])
        return self

    def start(self, keep=False, pass_fds=()):
        self.launch(keep, pass_fds)
        self.wait()
        return self

    def launch(self, keep=False, pass_fds=()):
        """Without waiting until it answers."""
        if not os.path.exists(os.path.join(self.home, 'data', 'data.mdb')):
            self.slapadd()
        self.child = process.start(
            ['/usr/sbin/slapd', '-d', str(self.debug), '-f', self.conf, '-h',
             'ldap://%s:%d ldaps://%s:%d' % (self.address, self.port,
                                             self.address, self.tls_port)],
            self.log, keep=keep, pass_fds=pass_fds)

    def stop(self):
        self.close()
        process.stop(self.child)
        self.child = None

    def save(self):
        """A backup of all entries with their operational attributes."""
        return subprocess.run(['/usr/sbin/slapcat', '-f', self.conf],
                              check=True, capture_output=True).stdout

    def restore(self, dump):
        """Puts a backup back into an empty database."""
        self.stop()
        for name in ('data.mdb', 'lock.mdb'):
            os.unlink(os.path.join(self.home, 'data', name))
        subprocess.run(['/usr/sbin/slapadd', '-q', '-f', self.conf],
                       input=dump, check=True, capture_output=True)
        return self.start()

    def populate(self, count, forest='west'):
        self.load((self.person_dn(entry['cn']), people.inet_person(entry))
                  for entry in people.people(forest, count))

    def add_person(self, number=0, forest='west', **changes):
        entry = people.inet_person(people.person(forest, number))
        entry.update(changes)
        return self.add(self.person_dn(entry['cn']), entry)


def ldif(dn, entry):
    """One LDIF record; every value base64, so that none needs inspection."""
    lines = [b'dn:: ' + base64.b64encode(dn.encode())]
    for name, values in as_bytes(entry).items():
        for value in values:
            lines.append(name.encode() + b':: ' + base64.b64encode(value))
    return b'\n'.join(lines) + b'\n\n'
