#!/usr/bin/python3
"""Make a forest of two domains, in directories that can be copied: a forest as
samba_template.py makes it, a child domain that joins it, and a second
controller of its first domain.

    samba_child_template.py DIRECTORY NAME DOMAIN ADDRESS

DIRECTORY/root, DIRECTORY/child and DIRECTORY/second; the forest's controller
is run at ADDRESS meanwhile. Samba's own `samba-tool domain join ... SUBDOMAIN` was dropped: its
join is still there, but parts of it have decayed. Those are replaced here,
each with its reason. No trust is set up, so that the two domains do not
replicate after the join, and an account of one cannot bind at the other."""

import inspect
import logging
import os
import subprocess
import sys
import tempfile
import time

import ldb
import samba
import samba.provision
from samba import Ldb, credentials, dsdb
from samba.auth import system_session
from samba.dcerpc import drsuapi, misc, security
from samba.join import DCJoinContext, join_DC
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB

import samba_conf
import samba_template
from samba_child_settings import CHILD, CHILD_HOST, CHILD_SID, SECOND_HOST
from samba_settings import ADMIN_PASSWORD

CLIENT = '''[global]
	interfaces = 127.0.0.0/8
	workgroup = {workgroup}
	realm = {realm}
	server role = active directory domain controller
	netbios name = {host}
'''


def mend_provision():
    """fill_samdb() uses a descriptor that it makes for whole forests only;
    the access lists of sysvol need a file server."""
    source = inspect.getsource(samba.provision.fill_samdb)
    line = next(line for line in source.splitlines(True)
                if 'managedservice_descr = ' in line)
    source = source.replace(line, '')
    first = source.index('    if fill == FILL_FULL')
    source = source[:first] + line[4:] + source[first:]
    exec(source, vars(samba.provision))
    samba.provision.setsysvolacl = lambda *a, **k: None


class Added:
    def __init__(self, guid):
        self.guid = guid


class Join(DCJoinContext):
    parent_database = None

    def cleanup_old_join(self, force=False):
        """Nothing is old here; and its LSA call is refused."""

    def join_setup_trusts(self):
        """Does not run under Python 3."""

    def DsAddEntry(self, records):
        """The server's own waits for ever, because it may not create the file
        of a new partition. So the domain's head, its crossRef and the NTDS
        settings are written into the parent's database."""
        self.parent_database.add(
            {'dn': self.base_dn, 'objectClass': ['top', 'domainDNS'],
             'instanceType': '5',     # head of a context, writable
             'objectSid': ndr_pack(self.domsid)}, controls=['relax:0'])
        self.head = self._guid(self.base_dn)
        for record in records:
            self.parent_database.add(dict(record), controls=['relax:0'])
        return [Added(self._guid(record['dn'])) for record in records]

    def _guid(self, dn):
        row = self.parent_database.search(dn, ldb.SCOPE_BASE,
                                          attrs=['objectGUID'])[0]
        return misc.GUID(row['objectGUID'][0])

    def join_provision_own_domain(self):
        """As it was, with flags=0: it may create the partition's file."""
        self.local_samdb = self.samdb = SamDB(
            url=self.local_samdb.url, session_info=system_session(),
            lp=self.local_samdb.lp, global_schema=False, flags=0)
        self.samdb.set_invocation_id(str(self.invocation_id))
        self.names.domainguid = str(self.head)
        secrets = Ldb(self.paths.secrets, session_info=system_session(),
                      lp=self.lp)
        samba.provision.provision_fill(
            self.samdb, secrets, self.logger, self.names, self.paths,
            dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2003,
            targetdir=self.targetdir,
            samdb_fill=samba.provision.FILL_SUBDOMAIN,
            machinepass=self.acct_pass, lp=self.lp,
            serverrole='active directory domain controller',
            hostip=self.names.hostip, hostip6=self.names.hostip6,
            dns_backend=self.dns_backend, adminpass=self.adminpass)


def settings(path, text):
    with open(path, 'w') as out:
        out.write(text)
    made = LoadParm()
    made.load(path)
    return made


def administrator(made, workgroup):
    who = credentials.Credentials()
    who.guess(made)
    who.set_username('Administrator')
    who.set_password(ADMIN_PASSWORD)
    who.set_domain(workgroup)
    who.set_kerberos_state(credentials.DONT_USE_KERBEROS)
    return who


def join_second(directory, workgroup, domain, address):
    made = settings(directory + '.conf', CLIENT.format(
        workgroup=workgroup, realm=domain.upper(), host=SECOND_HOST))
    join_DC(logging.getLogger('join'), address,
            administrator(made, workgroup), made, 'Default-First-Site-Name',
            SECOND_HOST, directory, domain, dns_backend='NONE')


def join_child(directory, workgroup, domain, address, database):
    """The steps of samba.join's former join_subdomain()."""
    made = settings(directory + '.conf', CLIENT.format(
        workgroup=CHILD.upper(), realm=domain.upper(), host=CHILD_HOST))
    who = administrator(made, workgroup)
    context = Join(logging.getLogger('join'), address, who, made,
                   'Default-First-Site-Name', CHILD_HOST, directory,
                   dns_backend='NONE')
    context.parent_database = database
    context.subdomain = True
    context.adminpass = ADMIN_PASSWORD
    context.parent_domain_name = context.domain_name
    context.domain_name = CHILD.upper()
    context.realm = domain
    context.parent_dnsdomain = context.dnsdomain
    context.parent_partition_dn = context.get_parent_partition_dn()
    context.dnsdomain = domain
    context.partition_dn = 'CN=%s,CN=Partitions,%s' % (
        context.domain_name, context.config_dn)
    context.base_dn = samba.dn_from_dns_name(domain)
    context.forestsid = context.domsid
    context.domsid = security.dom_sid(CHILD_SID)
    context.acct_dn = None
    context.rid_manager_dn = None   # the child has its own
    context.dnshostname = '%s.%s' % (CHILD_HOST.lower(), domain)
    context.userAccountControl = (dsdb.UF_SERVER_TRUST_ACCOUNT |
                                  dsdb.UF_TRUSTED_FOR_DELEGATION)
    context.SPNs.append('E3514235-4B06-11D1-AB04-00C04FC2DCD2/$NTDSGUID/' +
                        domain)
    context.secure_channel_type = misc.SEC_CHAN_BDC
    context.replica_flags |= (drsuapi.DRSUAPI_DRS_WRIT_REP |
                              drsuapi.DRSUAPI_DRS_FULL_SYNC_IN_PROGRESS)
    context.domain_replica_flags = context.replica_flags
    context.do_join()


def answers(home, address, child):
    deadline = time.monotonic() + 30
    while True:
        try:
            Ldb('ldap://' + address, lp=LoadParm())
            return
        except ldb.LdbError:
            if child.poll() is not None or time.monotonic() > deadline:
                with open(home + '/samba.log') as log:
                    sys.exit('the controller does not answer: ' + log.read())
            time.sleep(0.1)


def main(directory, name, domain, address):
    # Paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix='galrelay-join-') as sockets:
        build(directory, name, domain, address, sockets)


def build(directory, name, domain, address, sockets):
    root, child = (os.path.join(directory, part) for part in ('root', 'child'))
    os.makedirs(directory)
    samba_template.main(root, name, domain, address)
    made = settings(directory + '/server.conf', samba_conf.text(
        root, sockets=sockets, host='DC', domain=domain,
        workgroup=name.upper(), address=address))
    for part in ('run', 'cache', 'lock'):
        os.makedirs(os.path.join(root, part), exist_ok=True)
    mend_provision()
    server = subprocess.Popen(
        ['/usr/sbin/samba', '-F', '--no-process-group', '-M', 'single',
         '--configfile=' + directory + '/server.conf'],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        answers(root, address, server)
        database = SamDB(root + '/private/sam.ldb', lp=made, flags=0,
                         session_info=system_session())
        join_child(child, name.upper(), CHILD + '.' + domain, address,
                   database)
        join_second(os.path.join(directory, 'second'), name.upper(), domain,
                    address)
    finally:
        server.terminate()
        server.wait()
    template = samba_template.Template(child, CHILD + '.' + domain)
    database = template.open()
    template.add_units(database)
    template.add_service_account(database)


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit('%s\n%s' % (error, error.stderr.decode()[-2000:]))
