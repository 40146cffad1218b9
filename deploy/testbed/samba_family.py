"""A Samba 4 Active Directory forest of two domains, a controller each."""

import base64
import hashlib
import json
import os
import shutil
import subprocess

from . import samba_child_settings, samba_conf, samba_forest

BUILDER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'samba_child_template.py')
PUT = os.path.join(os.path.dirname(BUILDER), 'samba_partial.py')
COPIED = ('objectClass', 'objectGUID', 'objectSid', 'sAMAccountName', 'cn',
          'displayName', 'description')
ADDRESSES = ('mail', 'mailNickname', 'proxyAddresses', 'targetAddress',
             'legacyExchangeDN')


class Child(samba_forest.Samba):
    host = samba_child_settings.CHILD_HOST


class Second(samba_forest.Samba):
    host = samba_child_settings.SECOND_HOST

    def pull(self, other):
        """Takes over what the other controller has; while this one is down.
        """
        subprocess.run(
            ['samba-tool', 'drs', 'replicate', '--local', self.address,
             other.address, self.base, '-U', 'Administrator%' +
             other.admin_password, '--use-kerberos=off', '--configfile',
             os.path.join(self.home, 'smb.conf')], check=True,
            capture_output=True, timeout=60)


class Family:
    """`root`, `child` and `second` (another controller of the root's domain,
    not started), as Samba objects. The domains share schema and
    configuration as of the join, and do not replicate: the catalogue of the
    root's controller holds of the child what replicate() puts there."""

    def __init__(self, name, addresses, authority, scratch):
        self.root = samba_forest.Samba(name, addresses[0], authority, scratch)
        self.child = Child(
            samba_child_settings.CHILD, addresses[1], authority, scratch,
            domain=samba_child_settings.CHILD + '.' + self.root.domain)
        self.second = Second(name, addresses[2], authority,
                             os.path.join(scratch, 'second'),
                             domain=self.root.domain)
        self.root.folk, self.child.folk = 'north', 'south'
        self.template = self.root.template + '-' + self._fingerprint()

    @staticmethod
    def _fingerprint():
        digest = hashlib.sha256()
        for path in (BUILDER, samba_child_settings.__file__,
                     samba_conf.__file__):
            with open(path, 'rb') as f:
                digest.update(f.read())
        return digest.hexdigest()[:12]

    def _build(self):
        os.makedirs(samba_forest.cache_directory(), exist_ok=True)
        unfinished = '%s.%d' % (self.template, os.getpid())
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            done = subprocess.run(
                ['/usr/bin/python3', BUILDER, unfinished, self.root.name,
                 self.root.domain, self.root.address],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
            if done.returncode != 0:
                raise RuntimeError('joining %s: %s' % (
                    self.child.domain,
                    done.stderr.decode(errors='replace')[-2000:]))
            os.rename(unfinished, self.template)
        except OSError:     # another run was faster
            if not os.path.isdir(self.template):
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def start(self):
        if not os.path.isdir(self.template):
            self._build()
        os.makedirs(os.path.dirname(self.second.home), exist_ok=True)
        for part in ('root', 'child', 'second'):
            domain = getattr(self, part)
            subprocess.run(['cp', '-a', '--reflink=auto',
                            os.path.join(self.template, part), domain.home],
                           check=True)
            domain.configure()
            if part != 'second':
                domain.start()
        self.root.wait()
        self.child.wait()
        return self

    def stop(self):
        for domain in (self.root, self.child, self.second):
            domain.stop()

    def replicate(self, *dns):
        """Puts entries of the child into the root's catalogue, as a global
        catalogue has them: these attributes only, under the same ids."""
        units = {dn.split(',', 1)[1] for dn in dns}
        for unit in units - set(self.root.search(self.child.base,
                                                 attributes=['1.1'])):
            self._put(unit, ('objectClass', 'objectGUID'))
        for dn in dns:
            self._put(dn, COPIED + ADDRESSES)

    def _put(self, dn, names):
        entry = self.child.read(dn)
        subprocess.run(
            ['/usr/bin/python3', PUT, self.root.home],
            input=json.dumps({dn: {
                name: [base64.b64encode(value).decode()
                       for value in entry[name]]
                for name in names if name in entry}}).encode(),
            check=True, capture_output=True, timeout=60)

    def forget(self):
        """Takes the addresses out of the catalogue again. (That context has
        no place for deleted objects, so that nothing can be deleted there.)"""
        for dn, entry in self.root.search(
                self.child.base, '(mail=*)', ADDRESSES).items():
            self.root.modify(dn, **dict.fromkeys(
                name for name in ADDRESSES if name in entry))
