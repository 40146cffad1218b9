"""A whole star in a scratch directory: a hub, spokes, their configuration.

    star = Star(scratch, block)
    star.start_hub()
    north = star.join('north', forest)
    star.sync()
    star.expect(north, {...})
"""

import contextlib
import json
import os
import shutil
import subprocess
import time

from . import net, process, wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

HUB_CONF = '''realm = "{realm}";
state = "{state}";
listen = "tcp://{listen}";
address = "tcp://{address}";
{extra}
'''

SPOKE_CONF = '''name = "{name}";
state = "{state}";
machine_id_file = "{machine}";
directory = {{
	uri = [ "{uri}" ];
	ca = "{ca}";
	bind = "simple";
	user = "{user}";
	password_file = "{password}";
	{directory_extra}
}};
{extra}
'''

POLICIES = '''export: (
	{{
		name = "staff";
		tag = "{name}/staff";
		from = ( {{ ou = "{staff}"; scope = "subtree"; }} );
		{export_extra}
	}}
);
import: (
	{{
		name = "partners";
		tags = [ "*" ];
		into = "{partners}";
		{import_extra}
	}}
);
'''


SLOW = 5     # seconds: a command that took longer is shown


def program(name):
    build = os.environ.get('GALRELAY_BUILD', os.path.join(ROOT, 'build'))
    return os.path.join(build, name)


class Result:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return '%s\nexit status %s\n%s%s' % (' '.join(self.argv), self.status,
                                             self.out, self.err)


class Program:
    """A configured galhub or galspoke."""

    name = None     # 'galhub' or 'galspoke'
    child = None

    def prefix(self):
        return [program(self.name), '--config', self.conf]

    def call(self, *argv, timeout=120, environment=None, before=None,
             wrap=()):
        """Run one command to its end; returns a Result. `wrap` comes before
        the program: faketime and the like."""
        line = list(wrap) + self.prefix() + list(argv)
        began = time.monotonic()
        child = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=before,
            env=dict(os.environ, **(environment or {})))
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError('no end in %d s: %r' % (timeout, Result(
                line, 'none', out.decode(errors='replace'),
                err.decode(errors='replace'))))
        result = Result(line, child.returncode, out.decode(errors='replace'),
                        err.decode(errors='replace'))
        if time.monotonic() - began > SLOW:
            print('%.1f s: %r' % (time.monotonic() - began, result))
        return result

    def do(self, *argv, expect=0, **more):
        """As call(), and the exit status has to be as expected."""
        result = self.call(*argv, **more)
        allowed = expect if isinstance(expect, tuple) else (expect,)
        assert result.status in allowed, 'expected %s: %r' % (expect, result)
        return result

    def json(self, *argv):
        return json.loads(self.do(*argv, '--json').out)

    def serve(self, keep=False, pass_fds=(), wrap=(), environment=None):
        self.child = process.start(
            list(wrap) + self.prefix() + ['serve'], self.log, keep=keep,
            pass_fds=pass_fds, env=environment)
        return self

    def processes(self):
        """The supervisor's id and those of its workers and front."""
        if self.child is None or self.child.poll() is not None:
            return []
        return [self.child.pid] + process.children(self.child.pid)

    def kill(self):
        """SIGKILL the supervisor, and wait until all its children ended."""
        pids = self.processes()
        if self.child is not None:
            self.child.kill()
            self.child.wait()
        self.child = None
        deadline = time.monotonic() + 10
        while any(_alive(pid, self.conf) for pid in pids[1:]):
            if time.monotonic() > deadline:
                raise AssertionError('workers outlive their supervisor')
            time.sleep(0.02)

    def stop(self):
        status = process.stop(self.child, 10)
        self.child = None
        return status

    def log_text(self):
        try:
            with open(self.log, errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    def save(self):
        """A backup of the state directory; restore() takes it back."""
        self.saves = getattr(self, 'saves', 0) + 1
        copy = '%s.backup-%d' % (self.state, self.saves)
        subprocess.run(['cp', '-a', self.state, copy], check=True)
        return copy

    def restore(self, copy):
        shutil.rmtree(self.state)
        subprocess.run(['cp', '-a', copy, self.state], check=True)


def _alive(pid, mention):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as f:
            return mention.encode() in f.read()
    except OSError:
        return False


class Hub(Program):
    name = 'galhub'

    def __init__(self, directory, listen, address, realm='example', extra=''):
        os.makedirs(directory)
        self.directory, self.listen = directory, listen
        self.conf = os.path.join(directory, 'hub.conf')
        self.state = os.path.join(directory, 'state')
        self.log = os.path.join(directory, 'log')
        with open(self.conf, 'w') as out:
            out.write(HUB_CONF.format(
                realm=realm, state=self.state, listen='%s:%d' % listen,
                address='%s:%d' % address, extra=extra))

    def wait(self, seconds=30):
        deadline = time.monotonic() + seconds
        while not net.answers(*self.listen):
            died = self.child is None or self.child.poll() is not None
            if died or time.monotonic() > deadline:
                raise AssertionError('the hub does not answer:\n' +
                                     self.log_text()[-3000:])
            time.sleep(0.02)
        return self

    def invite(self, name, domains):
        out = self.do('invite', name, '--domains', ','.join(domains)).out
        for word in out.split():
            if word.startswith('galr1:'):
                return word
        raise AssertionError('no invitation in %r' % out)

    def box(self, member, which='out'):
        return Box(os.path.join(self.state, 'spool', member, which))


class Spoke(Program):
    name = 'galspoke'

    def __init__(self, directory, member, ldap_server, extra='',
                 directory_extra='', export_extra='', import_extra='',
                 policies=None):
        os.makedirs(os.path.join(directory, 'policies.d'))
        self.directory, self.member = directory, member
        self.ldap, self.domain = ldap_server, ldap_server.domain
        self.conf = os.path.join(directory, 'spoke.conf')
        self.state = os.path.join(directory, 'state')
        self.log = os.path.join(directory, 'log')
        self.machine = os.path.join(directory, 'machine-id')
        with open(self.machine, 'w') as out:
            out.write(os.urandom(16).hex() + '\n')
        with open(self.conf, 'w') as out:
            out.write(SPOKE_CONF.format(
                name=member, state=self.state, machine=self.machine,
                uri=ldap_server.uri, ca=ldap_server.ca,
                user=ldap_server.service_dn,
                password=ldap_server.password_file, extra=extra,
                directory_extra=directory_extra))
        self.write_policies(policies or POLICIES, export_extra=export_extra,
                            import_extra=import_extra)

    def write_policies(self, text=POLICIES, export_extra='', import_extra=''):
        path = os.path.join(self.directory, 'policies.d', 'staff.conf')
        with open(path, 'w') as out:
            out.write(text.format(
                name=self.member, staff=self.ldap.staff,
                partners=self.ldap.partners, export_extra=export_extra,
                import_extra=import_extra))

    def export(self, **more):
        return self.do('run', 'staff', **more)

    def fetch(self, **more):
        return self.do('run', 'partners', **more)

    def contacts(self, attributes=None):
        return self.ldap.contacts(attributes)

    def box(self, which='in'):
        return Box(os.path.join(self.state, 'spool', 'hub', which))


class Box:
    """One box of a spool: messages NAME.galr and the blobs they need."""

    def __init__(self, path):
        self.path = path

    def names(self):
        try:
            return sorted(name for name in os.listdir(self.path)
                          if name.endswith('.galr'))
        except FileNotFoundError:
            return []

    def read(self, name):
        with open(os.path.join(self.path, name), 'rb') as f:
            return f.read()

    def write(self, name, data):
        path = os.path.join(self.path, name)
        with open(path + '.new', 'wb') as out:
            out.write(data)
        os.rename(path + '.new', path)

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))

    def copy(self, name, new):
        """Duplicate a message under another name, blobs and all."""
        stem, other = name[:-len('.galr')], new[:-len('.galr')]
        blobs = os.path.join(self.path, stem + '.blobs')
        if os.path.exists(blobs):
            shutil.copy(blobs, os.path.join(self.path, other + '.blobs'))
        self.write(new, self.read(name))

    def snapshot(self, copy):
        subprocess.run(['cp', '-a', self.path, copy], check=True)
        return copy

    def replay(self, copy):
        """Put back everything that a snapshot held."""
        os.makedirs(self.path, exist_ok=True)
        subprocess.run(['cp', '-a', copy + '/.', self.path], check=True)


class Star:
    PORT = 4710
    default_extra = ''  # for every spoke.conf

    def __init__(self, scratch, block, hub_extra='', metered=True):
        self.scratch = scratch
        os.makedirs(scratch, exist_ok=True)
        listen = (block.address(1), self.PORT)
        relay = (block.address(2), self.PORT)
        self.wire = wire.Wire(relay, listen, scratch) if metered else None
        self.hub = Hub(os.path.join(scratch, 'hub'), listen,
                       relay if metered else listen, extra=hub_extra)
        self.spokes = []

    def start(self, keep=False, pass_fds=()):
        if self.wire:
            self.wire.start(keep, pass_fds)
        self.hub.do('init')
        self.hub.serve(keep, pass_fds)
        self.hub.wait()
        return self

    def spoke(self, name, ldap_server, **more):
        """A configured spoke that has not joined."""
        more['extra'] = self.default_extra + more.get('extra', '')
        made = Spoke(os.path.join(self.scratch, 'spoke-' + name), name.upper(),
                     ldap_server, **more)
        self.spokes.append(made)
        return made

    def join(self, name, ldap_server, domains=None, **more):
        made = self.spoke(name, ldap_server, **more)
        made.do('init')
        made.do('join', self.hub.invite(
            made.member, domains or [ldap_server.domain]))
        return made

    def sync(self, *spokes):
        """Every spoke publishes, then every spoke imports."""
        for spoke in spokes or self.spokes:
            spoke.export()
        for spoke in spokes or self.spokes:
            spoke.fetch()

    def expect(self, spoke, mails):
        """Exactly these contacts, by mail address, in its import OU."""
        have, want = sorted(self._mails(spoke)), sorted(mails)
        assert have == want, 'at %s: missing %s, unexpected %s' % (
            spoke.member, sorted(set(want) - set(have)),
            sorted(have) if len(have) != len(set(have))
            else sorted(set(have) - set(want)))

    def _mails(self, spoke):
        rows = spoke.ldap.search(spoke.ldap.partners,
                                 spoke.ldap.contact_filter, ['mail'])
        return [entry['mail'][0].decode() for entry in rows.values()]

    def expect_everyone(self):
        """Every spoke has exactly the mail users of all others."""
        staff = {spoke: staff_mails(spoke.ldap) for spoke in self.spokes}
        for spoke in self.spokes:
            self.expect(spoke, [mail for other, mails in staff.items()
                                if other is not spoke for mail in mails])

    def eventually(self, check, seconds=60):
        """Until check() no longer fails; for spokes that serve."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self):
        for part in self.spokes + [self.hub]:
            part.stop()
        if self.wire:
            self.wire.stop()


def staff_mails(directory):
    rows = directory.search(directory.staff, '(mail=*)', ['mail'])
    return [entry['mail'][0].decode() for entry in rows.values()]


@contextlib.contextmanager
def changed(path, old, new):
    """A configuration file with another word in it."""
    with open(path) as f:
        good = f.read()
    assert old in good
    with open(path, 'w') as out:
        out.write(good.replace(old, new))
    try:
        yield
    finally:
        with open(path, 'w') as out:
            out.write(good)
