"""One export policy over several naming contexts, read by a test program."""

import json
import os
import sqlite3
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('GALRELAY_BUILD', os.path.join(ROOT, 'build'))
PROBE = os.path.join(BUILD, 'tests', 'forest', 'spoke_collect_probe')
SPOKE = os.path.join(BUILD, 'galspoke')
CONF = '''name = "EAST";
state = "{home}";
directory = {{
	{servers}
	ca = "{ca}";
	user = "{user}";
	password_file = "{secret}";
	connect_timeout = "2s";
	{more}
}};
'''
DOMAIN = '''domains = ( {{ context = "{base}"; {where}
	user = "{user}"; password_file = "{secret}"; }} );'''
POLICY = '''export: ( {{
	name = "staff";
	from = ( {places} );
	feed = "{feed}";
	max_delete_percent = 100;
	{more}
}} );
'''


class Reader:
    """A spoke of the first server; the others stand in `more`."""

    def __init__(self, tmp_path, first, servers=None, more='', wrap=()):
        self.home, self.first = str(tmp_path), first
        self.conf = os.path.join(self.home, 'spoke.conf')
        self.servers = servers or uris(first.uri)
        self.wrap = list(wrap)
        self.write(more)
        self.now = int(time.time() * 1000)

    def write(self, more='', servers=None):
        with open(self.conf, 'w') as out:
            out.write(CONF.format(
                home=self.home, servers=servers or self.servers,
                ca=self.first.ca, user=self.first.service_dn,
                secret=self.first.password_file, more=more))

    def policy(self, *places, feed='auto', more=''):
        os.makedirs(os.path.join(self.home, 'policies.d'), exist_ok=True)
        with open(os.path.join(self.home, 'policies.d', 'staff.conf'),
                  'w') as out:
            out.write(POLICY.format(places=', '.join(
                '{ %s }' % place for place in places), feed=feed,
                more=more))

    def read(self, *more, expect=0, replica='own.db'):
        self.now += 1000
        done = subprocess.run(
            self.wrap + [PROBE, self.conf, 'staff',
                         os.path.join(self.home, replica), str(self.now),
                         *more], capture_output=True, text=True, timeout=60)
        self.log = done.stderr
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout) if expect == 0 else done.stdout

    def refused(self, *words):
        """The run fails, says why, and leaves what there was."""
        before = self.root()
        said = self.read('full', expect=1)
        for word in words:
            assert word in said, (word, said)
        assert self.root() == before
        return said

    def root(self):
        """Of the replica, without asking any directory."""
        path = os.path.join(self.home, 'own.db')
        if not os.path.exists(path):
            return None
        with sqlite3.connect(path) as db:
            return db.execute('SELECT * FROM object ORDER BY 1').fetchall()

    def truth(self):
        path = os.path.join(self.home, 'truth.db')
        if os.path.exists(path):
            os.unlink(path)
        return self.read('full', replica='truth.db')['root']

    def tool(self, *words):
        return subprocess.run(
            self.wrap + [SPOKE, '--config', self.conf, *words],
            capture_output=True, text=True, timeout=60)

    def check(self):
        done = self.tool('check')
        return done.stdout + done.stderr

    def explain(self, mail):
        done = self.tool('explain', '--json', mail)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def uris(*list_of_uris):
    return 'uri = [ %s ];' % ', '.join('"%s"' % uri for uri in list_of_uris)


def ou(server):
    return 'ou = "%s";' % server.staff


def domain(server, where=None):
    return DOMAIN.format(base=server.base, where=where or uris(server.uri),
                         user=server.service_dn, secret=server.password_file)
