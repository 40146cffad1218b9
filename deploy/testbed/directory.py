"""What Samba and slapd have in common: an LDAP server with entries."""

import os
import time

import ldap
import ldap.modlist
from ldap.controls import SimplePagedResultsControl
from ldap.dn import escape_dn_chars


def as_bytes(entry):
    """attribute -> list of bytes, from str, bytes, int or lists of them."""
    out = {}
    for name, value in entry.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        out[name] = [v if isinstance(v, bytes) else str(v).encode()
                     for v in values]
    return out


class Directory:
    """Subclasses set: name, address, base, uri, ca, admin_dn,
    admin_password, service_dn, service_password, staff, partners, log."""

    def __init__(self):
        self._link = None

    def connect(self, who=None, password=None):
        link = ldap.initialize(self.uri)
        link.set_option(ldap.OPT_X_TLS_CACERTFILE, self.ca)
        link.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        link.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        link.set_option(ldap.OPT_REFERRALS, 0)
        link.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
        link.set_option(ldap.OPT_TIMEOUT, 60)
        link.simple_bind_s(who or self.admin_dn,
                           password or self.admin_password)
        return link

    @property
    def link(self):
        if self._link is None:
            self._link = self.connect()
        return self._link

    def close(self):
        if self._link is not None:
            self._link.unbind_ext_s()
            self._link = None

    def wait(self, seconds=30):
        """Until the server answers; raises with its log's end if it dies."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.connect().unbind_ext_s()
                return
            except (ldap.SERVER_DOWN, ldap.TIMEOUT, ldap.BUSY,
                    ldap.UNAVAILABLE) as error:
                died = self.child is not None and self.child.poll() is not None
                if died or time.monotonic() > deadline:
                    raise RuntimeError('%s does not answer: %s\n%s' % (
                        self.uri, error, self.log_tail())) from error
                time.sleep(0.05)

    def log_tail(self, size=2000):
        try:
            with open(self.log, 'rb') as log:
                return log.read()[-size:].decode(errors='replace')
        except OSError:
            return ''

    def add(self, dn, entry):
        self.link.add_s(dn, list(as_bytes(entry).items()))
        return dn

    def load(self, entries):
        """Add many (dn, entry) pairs, eight in flight, the last one alone:
        behind parallel writes slapd's contextCSN can lag until the next."""
        flying, held = [], None
        for pair in entries:
            if held:
                flying.append(self.send_add(*held))
            held = pair
            if len(flying) >= 8:
                self.link.result(flying.pop(0))
        for message in flying:
            self.link.result(message)
        if held:
            self.add(*held)

    def send_add(self, dn, entry):
        return self.link.add(dn, list(as_bytes(entry).items()))

    def modify(self, dn, **changes):
        """Replace attributes; None or [] removes one."""
        self.link.modify_s(dn, [
            (ldap.MOD_REPLACE, name,
             as_bytes({name: value})[name] if value not in (None, []) else None)
            for name, value in changes.items()])

    def delete(self, dn):
        self.link.delete_s(dn)

    def rename(self, dn, rdn, parent=None):
        self.link.rename_s(dn, rdn, parent)

    def search(self, base=None, filter='(objectClass=*)', attributes=None,
               scope=ldap.SCOPE_SUBTREE):
        """{dn: {attribute: [bytes]}}, paged."""
        found = {}
        page = SimplePagedResultsControl(True, size=500, cookie='')
        while True:
            message = self.link.search_ext(
                base or self.base, scope, filter, attributes,
                serverctrls=[page])
            _, rows, _, controls = self.link.result3(message)
            found.update((dn, entry) for dn, entry in rows if dn)
            cookie = [c.cookie for c in controls
                      if c.controlType == page.controlType]
            if not cookie or not cookie[0]:
                return found
            page.cookie = cookie[0]

    def read(self, dn, attributes=None):
        rows = self.link.search_s(dn, ldap.SCOPE_BASE, '(objectClass=*)',
                                  attributes)
        return rows[0][1]

    def empty(self, unit):
        """Delete everything beneath unit, children first; a group that is
        somebody's primary one only goes after him."""
        found = [dn for dn in self.search(unit, attributes=['1.1'])
                 if dn.lower() != unit.lower()]
        while found:
            left = []
            for dn in sorted(found, key=len, reverse=True):
                try:
                    self.link.delete_s(dn)
                except (ldap.ALREADY_EXISTS, ldap.NOT_ALLOWED_ON_NONLEAF):
                    left.append(dn)
                    if len(left) == len(found):
                        raise
            found = left

    def reset(self):
        """Staff and Partners without entries, and no other unit: what an
        earlier test left here is gone."""
        keep = [unit.lower() for unit in (self.staff, self.partners)]
        for unit in self.search(self.base, '(objectClass=organizationalUnit)',
                                ['1.1'], ldap.SCOPE_ONELEVEL):
            if not unit.lower().startswith('ou=domain controllers,'):
                self.empty(unit)
                if unit.lower() not in keep:
                    self.delete(unit)

    def contacts(self, attributes=None):
        """What galrelay wrote: entries beneath the import OU, by mail."""
        rows = self.search(self.partners, self.contact_filter, attributes)
        return {entry['mail'][0].decode(): dict(entry, dn=[dn.encode()])
                for dn, entry in rows.items() if 'mail' in entry}

    def person_dn(self, cn):
        return 'CN=%s,%s' % (escape_dn_chars(cn), self.staff)

    def write_secret(self, path, text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                          0o600), 'w') as out:
            out.write(text)
        return path

    def ldapsearch(self, rest=''):
        """A line that a person can paste into a shell."""
        return ("LDAPTLS_CACERT=%s ldapsearch -LLL -o ldif-wrap=no -x -H %s "
                "-D '%s' -y %s -b '%s' %s" % (
                    self.ca, self.uri, self.service_dn, self.password_file,
                    self.partners, rest)).rstrip()
