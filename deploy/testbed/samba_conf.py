"""smb.conf of a domain controller in a scratch directory."""

SERVER = '''[global]
	netbios name = {host}
	realm = {realm}
	workgroup = {workgroup}
	server role = active directory domain controller
	server services = ldap, cldap, kdc, rpc, kcc
	interfaces = {address}/8
	bind interfaces only = yes
	private dir = {home}/private
	state directory = {home}/state
	cache directory = {home}/cache
	lock directory = {home}/lock
	pid directory = {home}/run
	ncalrpc dir = {sockets}/ncalrpc
	winbindd socket directory = {sockets}/winbindd
	ntp signd socket directory = {sockets}/ntp
	binddns dir = {home}/bind-dns
	logging = file
	log file = {home}/samba.log
	max log size = 0
	dsdb:schema update allowed = true
'''
TLS = '''	ldap server require strong auth = allow_sasl_over_tls
	tls enabled = yes
	tls keyfile = {key}
	tls certfile = {cert}
	tls cafile = {ca}
'''
NO_TLS = '''	tls enabled = no
'''


def text(home, tls=None, sockets=None, **names):
    """`names`: host, domain, workgroup and address. `tls`: key, cert and ca;
    None: it speaks LDAP in clear. `sockets`: a directory with a short name,
    where `home` has a long one."""
    return SERVER.format(home=home, sockets=sockets or home,
                         realm=names['domain'].upper(), **names) + (
        TLS.format(**tls) if tls else NO_TLS)
