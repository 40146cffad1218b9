#!/usr/bin/python3
"""Provision one Active Directory forest, with the Exchange schema extension,
the OUs and the service account, into a directory that can be copied.

    samba_template.py DIRECTORY NAME DOMAIN ADDRESS

A program of its own, so that several can run at once."""

import os
import re
import subprocess
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

from samba_settings import (ADMIN_PASSWORD, CONTACT_CLASS, GET_CHANGES_RIGHT,
                            SERVICE, SERVICE_PASSWORD)

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, '..', 'schema', 'exchange.ldif')
NOW = re.compile(r'^dn:\nchangetype: modify\nadd: schemaUpdateNow\n'
                 r'schemaUpdateNow: 1\n-\n', re.M)


def provision(directory, name, domain, address):
    subprocess.run(
        ['samba-tool', 'domain', 'provision', '--realm=' + domain.upper(),
         '--domain=' + name.upper(), '--targetdir=' + directory,
         '--dns-backend=NONE', '--adminpass=' + ADMIN_PASSWORD,
         '--host-name=dc', '--host-ip=' + address, '--server-role=dc',
         '--option=interfaces=127.0.0.0/8', '-q'],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)


class Template:
    def __init__(self, directory, domain):
        self.directory = directory
        self.base = ','.join('DC=' + part for part in domain.split('.'))
        self.settings = LoadParm()
        self.settings.load(os.path.join(directory, 'etc', 'smb.conf'))
        self.settings.set('dsdb:schema update allowed', 'true')

    def open(self):
        return SamDB(os.path.join(self.directory, 'private', 'sam.ldb'),
                     session_info=system_session(), lp=self.settings)

    def extend_schema(self):
        with open(SCHEMA) as f:
            text = f.read().replace('DC=X', self.base)
        text = re.sub(r'^#.*\n', '', text, flags=re.M)
        for part in NOW.split(text):
            if part.strip():
                # A fresh handle has read what the part before it added.
                self.open().modify_ldif(part)

    def add_units(self, db):
        for unit in ('Staff', 'Partners'):
            db.add({'dn': 'OU=%s,%s' % (unit, self.base),
                    'objectClass': 'organizationalUnit'})

    def add_service_account(self, db):
        """Least privilege: reads the forest and its changes, creates,
        changes and deletes contacts beneath the import OU, nothing else."""
        db.newuser(SERVICE, SERVICE_PASSWORD)
        db.setexpiry('(sAMAccountName=%s)' % SERVICE, 0, no_expiry_req=True)
        sid = db.domain_sid + '-%d' % self._rid(db)
        self._grant(db, self.base,
                    '(A;CI;RPLCLORC;;;%s)(OA;;CR;%s;;%s)' % (
                        sid, GET_CHANGES_RIGHT, sid))
        self._grant(db, 'OU=Partners,' + self.base,
                    '(OA;CI;CCDC;%s;;%s)(OA;CIIO;RPWPSD;;%s;%s)' % (
                        CONTACT_CLASS, sid, CONTACT_CLASS, sid))

    def _rid(self, db):
        row = db.search(self.base, expression='(sAMAccountName=%s)' % SERVICE,
                        attrs=['objectSid'])[0]
        return int.from_bytes(row['objectSid'][0][-4:], 'little')

    def _grant(self, db, dn, aces):
        subprocess.run(
            ['samba-tool', 'dsacl', 'set', '--objectdn=' + dn,
             '--sddl=' + aces, '-H', db.url, '--configfile=' + os.path.join(
                 self.directory, 'etc', 'smb.conf')],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)


def main(directory, name, domain, address):
    os.makedirs(directory)
    provision(directory, name, domain, address)
    template = Template(directory, domain)
    template.extend_schema()
    db = template.open()
    template.add_units(db)
    template.add_service_account(db)


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit('%s\n%s' % (error, error.stderr.decode()[-2000:]))
