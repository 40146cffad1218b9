"""A Samba 4 Active Directory forest of one domain controller."""

import hashlib
import os
import shutil
import subprocess
import sys

import ldap
from ldap.controls import LDAPControl
from ldap.dn import escape_dn_chars

from . import net, people, process, samba_conf, samba_settings
from .directory import Directory

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILDER = os.path.join(HERE, 'samba_template.py')
RESTORER = os.path.join(HERE, 'samba_restore.py')

# SD flags (MS-ADTS 3.1.1.3.4.1.11): 4, the discretionary part alone.
DACL_ONLY = LDAPControl('1.2.840.113556.1.4.801', True,
                        encodedControlValue=b'\x30\x03\x02\x01\x04')


def cache_directory():
    """Where provisioned forests wait to be copied."""
    return os.environ.get('GALRELAY_TESTBED_CACHE',
                          os.path.join(ROOT, 'build', 'testbed'))


def _fingerprint():
    """Changes when a template made before would differ from one made now."""
    digest = hashlib.sha256()
    for path in (BUILDER, samba_settings.__file__, people.__file__,
                 os.path.join(HERE, '..', 'schema', 'exchange.ldif')):
        with open(path, 'rb') as f:
            digest.update(f.read())
    digest.update(subprocess.run(['samba', '--version'], check=True,
                                 capture_output=True).stdout)
    return digest.hexdigest()[:12]


class Samba(Directory):
    contact_filter = '(objectClass=contact)'
    host = 'DC'     # as the template calls it

    def __init__(self, name, address, authority, scratch, domain=None,
                 population=0):
        super().__init__()
        self.name, self.address = name, address
        self.folk = name    # whose people populate() and add_person() make
        self.behind = net.relay_address(address)
        self.domain = domain or name + '.example'
        self.base = ','.join('DC=' + p for p in self.domain.split('.'))
        self.staff, self.partners = ('OU=%s,%s' % (unit, self.base)
                                     for unit in ('Staff', 'Partners'))
        self.uri = 'ldaps://' + address
        self.authority, self.ca = authority, authority.ca
        self.home = os.path.join(scratch, 'forest-' + name)
        self.log = os.path.join(self.home, 'samba.log')
        self.admin_dn = 'CN=Administrator,CN=Users,' + self.base
        self.admin_password = samba_settings.ADMIN_PASSWORD
        self.service_dn = 'CN=%s,CN=Users,%s' % (samba_settings.SERVICE,
                                                 self.base)
        self.service_password = samba_settings.SERVICE_PASSWORD
        self.password_file = os.path.join(scratch, name + '.password')
        self.population = population
        self.template = os.path.join(cache_directory(), '%s-%s%s' % (
            self.domain, _fingerprint(),
            '-%d' % population if population else ''))
        self.child = self.builder = None

    # Building a template takes seconds of one core: begin() starts it for
    # several forests at once, start() waits for it.
    def begin(self):
        if os.path.isdir(self.template):
            return
        os.makedirs(cache_directory(), exist_ok=True)
        self.unfinished = '%s.%d' % (self.template, os.getpid())
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.builder = subprocess.Popen(
            ['/usr/bin/python3', BUILDER, self.unfinished, self.name,
             self.domain, self.address, str(self.population)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)

    def _finish_template(self):
        if self.builder is None:
            return
        message = self.builder.communicate(
            timeout=120 + self.population // 20)[1]
        if self.builder.returncode != 0:
            shutil.rmtree(self.unfinished, ignore_errors=True)
            raise RuntimeError('provisioning %s: %s' % (
                self.name, message.decode(errors='replace')[-2000:]))
        self.builder = None
        try:
            os.rename(self.unfinished, self.template)
        except OSError:     # another run was faster
            shutil.rmtree(self.unfinished)

    def start(self, keep=False, pass_fds=()):
        if os.geteuid() != 0:
            sys.exit('the Samba forests listen on LDAP and Kerberos ports '
                     'below 1024: run this as root')
        if not os.path.isdir(self.home):
            if self.builder is None:
                self.begin()
            self._finish_template()
            subprocess.run(['cp', '-a', '--reflink=auto', self.template,
                            self.home], check=True)
            self.configure()
        self.child = process.start(
            ['/usr/sbin/samba', '-F', '--no-process-group', '-M', 'single',
             '--configfile=' + self.home + '/smb.conf'],
            os.path.join(self.home, 'output'), keep=keep, pass_fds=pass_fds)
        return self

    def configure(self):
        key, cert = self.authority.issue(
            '%s.%s' % (self.host.lower(), self.domain), self.address,
            self.behind)
        for name in ('run', 'cache', 'lock'):
            os.makedirs(os.path.join(self.home, name), exist_ok=True)
        with open(os.path.join(self.home, 'smb.conf'), 'w') as out:
            out.write(samba_conf.text(
                self.home, {'key': key, 'cert': cert, 'ca': self.ca},
                host=self.host, domain=self.domain,
                workgroup=self.name.upper(), address=self.address))
        self.write_secret(self.password_file, self.service_password)

    def stop(self):
        self.close()
        if self.builder is not None:
            self.builder.kill()
            self.builder.communicate()
            shutil.rmtree(self.unfinished, ignore_errors=True)
            self.builder = None
        process.stop(self.child)
        self.child = None

    def sid_of(self, dn):
        raw = self.read(dn, ['objectSid'])['objectSid'][0]
        parts = [raw[0], int.from_bytes(raw[2:8], 'big')] + [
            int.from_bytes(raw[i:i + 4], 'little')
            for i in range(8, len(raw), 4)]
        return 'S-' + '-'.join(map(str, parts))

    def access(self, dn):
        """The access list, as set_access() takes it back."""
        (_, entry), = self.link.search_ext_s(
            dn, ldap.SCOPE_BASE, '(objectClass=*)', ['nTSecurityDescriptor'],
            serverctrls=[DACL_ONLY])
        return entry['nTSecurityDescriptor']

    def set_access(self, dn, descriptor):
        self.link.modify_ext_s(dn, [(
            ldap.MOD_REPLACE, 'nTSecurityDescriptor', descriptor)],
            serverctrls=[DACL_ONLY])

    def grant(self, dn, ace):
        """Adds an entry (SDDL), which may also deny, to an access list."""
        subprocess.run(
            ['samba-tool', 'dsacl', 'set', '--objectdn=' + dn,
             '--sddl=' + ace, '-H',
             os.path.join(self.home, 'private', 'sam.ldb'),
             '--configfile=' + os.path.join(self.home, 'smb.conf')],
            check=True, capture_output=True)

    def save(self):
        """A backup of the database, taken while it rests."""
        copy = os.path.join(self.home, 'saved')
        self.stop()
        subprocess.run(['cp', '-a', os.path.join(self.home, 'private'), copy],
                       check=True)
        self.start()
        self.wait()
        return copy

    def restore(self, copy, proper=True):
        """Puts a backup back; as is proper, with a new invocationId."""
        self.stop()
        shutil.rmtree(os.path.join(self.home, 'private'))
        os.rename(copy, os.path.join(self.home, 'private'))
        if proper:
            subprocess.run(['/usr/bin/python3', RESTORER,
                            os.path.join(self.home, 'smb.conf')], check=True,
                           capture_output=True)
        self.start()
        self.wait()

    def populate(self, count):
        self.load((self.person_dn(entry['cn']), people.ad_user(entry))
                  for entry in people.people(self.folk, count))

    def add_person(self, number=None, **changes):
        """A user with a mailbox in the Staff OU; returns its DN."""
        entry = people.person(self.folk, number or 0)
        if changes.get('mail'):
            changes.setdefault('proxyAddresses', ['SMTP:' + changes['mail']])
        entry.update(changes)
        entry = people.ad_user(entry)
        return self.add(self.person_dn(entry['cn']), entry)

    def add_group(self, cn, mail, members=()):
        """A distribution group in the Staff OU."""
        entry = {'objectClass': 'group', 'cn': cn, 'displayName': cn,
                 'sAMAccountName': cn[:20], 'groupType': '8', 'mail': mail,
                 'mailNickname': mail.split('@')[0],
                 'proxyAddresses': ['SMTP:' + mail],
                 'legacyExchangeDN': people.exchange_dn(
                     self.name, mail.split('@')[0]),
                 'msExchRecipientDisplayType': '1',
                 'msExchRecipientTypeDetails': '256'}
        if members:
            entry['member'] = list(members)
        return self.add('CN=%s,%s' % (escape_dn_chars(cn), self.staff), entry)

    def add_contact(self, cn, mail, parent=None, **more):
        """A mail contact that galrelay did not make."""
        entry = {'objectClass': 'contact', 'cn': cn, 'displayName': cn,
                 'mail': mail, 'mailNickname': mail.split('@')[0],
                 'targetAddress': 'SMTP:' + mail,
                 'proxyAddresses': ['SMTP:' + mail],
                 'legacyExchangeDN': people.exchange_dn(
                     self.name, mail.split('@')[0])}
        entry.update(more)
        return self.add('CN=%s,%s' % (escape_dn_chars(cn),
                                      parent or self.staff), entry)

    def kerberos(self):
        """(krb5.conf, keytab, principal) for the service account."""
        conf, keytab = (os.path.join(self.home, name)
                        for name in ('krb5-client.conf', 'service.keytab'))
        realm = self.domain.upper()
        with open(conf, 'w') as out:
            out.write('[libdefaults]\n\tdefault_realm = %s\n\trdns = false\n'
                      '\tdns_lookup_kdc = false\n\tdns_lookup_realm = false\n'
                      '\tdns_canonicalize_hostname = false\n'
                      '[realms]\n\t%s = {\n\t\tkdc = %s\n\t}\n'
                      '[domain_realm]\n\t%s = %s\n' % (
                          realm, realm, self.address, self.address, realm))
        subprocess.run(
            ['samba-tool', 'domain', 'exportkeytab', keytab,
             '--principal=' + samba_settings.SERVICE,
             '--configfile=' + self.home + '/smb.conf'],
            check=True, capture_output=True)
        try:
            self.link.modify_s(
                'CN=DC,OU=Domain Controllers,' + self.base,
                [(ldap.MOD_ADD, 'servicePrincipalName',
                  [b'ldap/' + self.address.encode()])])
        except ldap.TYPE_OR_VALUE_EXISTS:
            pass
        return conf, keytab, '%s@%s' % (samba_settings.SERVICE, realm)


def start_all(forests, keep=False, pass_fds=()):
    """Start several, their templates built side by side."""
    for forest in forests:
        forest.begin()
    for forest in forests:
        forest.start(keep, pass_fds)
    for forest in forests:
        forest.wait()
