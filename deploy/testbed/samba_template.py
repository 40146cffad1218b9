#!/usr/bin/python3
"""Provision one Active Directory forest, with the Exchange schema extension,
the OUs and the service account, into a directory that can be copied.

    samba_template.py DIRECTORY NAME DOMAIN ADDRESS [PEOPLE]

A program of its own, so that several can run at once.

With PEOPLE it becomes a large forest: on LMDB, as Samba advises (only there
are uSNChanged and the like found by index), so many users in the Staff OU, and
a service account that may see what was deleted. The users are added through
Samba's own database modules, without a server, which takes 2 ms each."""

import os
import re
import subprocess
import sys

import ldb
from ldap.dn import escape_dn_chars
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

import people
from samba_settings import (ADMIN_PASSWORD, CONTACT_CLASS, GET_CHANGES_RIGHT,
                            SERVICE, SERVICE_PASSWORD)

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, '..', 'schema', 'exchange.ldif')
NOW = re.compile(r'^dn:\nchangetype: modify\nadd: schemaUpdateNow\n'
                 r'schemaUpdateNow: 1\n-\n', re.M)
BATCH = 500     # users in one transaction
# Nothing can be rolled back but the transaction, and so no index is copied for
# each user.
IN_BATCHES = ('batch_mode:1', 'transaction_index_cache_size:200000')


def provision(directory, name, domain, address, *more):
    subprocess.run(
        ['samba-tool', 'domain', 'provision', '--realm=' + domain.upper(),
         '--domain=' + name.upper(), '--targetdir=' + directory,
         '--dns-backend=NONE', '--adminpass=' + ADMIN_PASSWORD,
         '--host-name=dc', '--host-ip=' + address, '--server-role=dc',
         '--option=interfaces=127.0.0.0/8', '-q', *more],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)


class Template:
    def __init__(self, directory, domain):
        self.directory = directory
        self.base = ','.join('DC=' + part for part in domain.split('.'))
        self.settings = LoadParm()
        self.settings.load(os.path.join(directory, 'etc', 'smb.conf'))
        self.settings.set('dsdb:schema update allowed', 'true')

    def open(self, *options):
        return SamDB(os.path.join(self.directory, 'private', 'sam.ldb'),
                     session_info=system_session(), lp=self.settings,
                     options=list(options))

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

    def add_people(self, name, count):
        db = self.open(*IN_BATCHES)
        forest = name if name in people.NAMES else 'west'
        for start in range(0, count, BATCH):
            db.transaction_start()
            for entry in people.people(forest, min(BATCH, count - start),
                                       start):
                db.add(dict(people.ad_user(entry), dn='CN=%s,OU=Staff,%s' % (
                    escape_dn_chars(entry['cn']), self.base)))
            db.transaction_commit()

    def show_deleted(self, db):
        """dsacls "CN=Deleted Objects,..." /g SERVICE:LCRP"""
        row = db.search('CN=Deleted Objects,' + self.base,
                        scope=ldb.SCOPE_BASE, attrs=['nTSecurityDescriptor'],
                        controls=['show_deleted:1', 'sd_flags:1:4'])[0]
        domain = security.dom_sid(db.domain_sid)
        sddl = ndr_unpack(security.descriptor,
                          row['nTSecurityDescriptor'][0]).as_sddl(domain)
        ace = '(A;;LCRP;;;%s-%d)' % (db.domain_sid, self._rid(db))
        message = ldb.Message(row.dn)
        message['acl'] = ldb.MessageElement(
            ndr_pack(security.descriptor.from_sddl(sddl + ace, domain)),
            ldb.FLAG_MOD_REPLACE, 'nTSecurityDescriptor')
        db.modify(message, controls=['show_deleted:1', 'sd_flags:1:4'])

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


def main(directory, name, domain, address, count='0'):
    os.makedirs(directory)
    large = ['--backend-store=mdb'] if int(count) else []
    provision(directory, name, domain, address, *large)
    template = Template(directory, domain)
    template.extend_schema()
    db = template.open()
    template.add_units(db)
    template.add_service_account(db)
    if int(count):
        template.show_deleted(db)
        template.add_people(name, int(count))


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit('%s\n%s' % (error, error.stderr.decode()[-2000:]))
