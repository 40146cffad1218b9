#!/usr/bin/python3
"""Measure galrelay against public tools in the same run.

    tests/bench/bench.py [--build DIR] [--entries N] [--large N] [--only WORD]

Prints a table and writes BUILD/bench.json: name, value, unit, aim. Needs
slapd; clocks start with the directory up or the bundle present."""

import argparse
import gzip
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'deploy'))

from testbed import net, people, process, slapd, tls  # noqa: E402
from testbed.slapd import ldif                         # noqa: E402
from testbed.star import Star                          # noqa: E402
from testbed.table import table                        # noqa: E402

READ = ('cn sn givenName displayName mail telephoneNumber mobile title o '
        'departmentNumber street l postalCode physicalDeliveryOfficeName uid '
        'entryUUID objectClass').split()
HUB = 'resend = "1s";\nevery = "1s";\nforeign_limit = 1000000;'
ALWAYS = 'proof = "0";'     # read everything each time
LOOSE = 'max_delete_percent = 100;\n\t\tmax_delete_count = 1000000;'


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def wait4(argv):
    """(seconds, greatest resident set in MiB of it and its children)."""
    began = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    message = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError('%s: %s' % (argv, message.decode()[-1000:]))
    return time.monotonic() - began, usage.ru_maxrss / 1024


class Bench:
    def __init__(self, options):
        self.options = options
        self.scratch = tempfile.mkdtemp(prefix='galrelay-bench-')
        self.block = net.Block()
        self.authority = tls.Authority(os.path.join(self.scratch, 'tls'))
        self.rows, self.parts, self.hosts = [], [], 10

    def note(self, name, value, unit, aim=None):
        self.rows.append({'name': name, 'value': round(value, 3),
                          'unit': unit, 'aim': aim})
        print('%-58s %10.3f %-6s %s' % (name, value, unit, '' if aim is None
                                        else 'aim ≤ %g' % aim), flush=True)

    def directory(self, name, count=0):
        self.hosts += 1
        server = slapd.Slapd(name, self.block.address(self.hosts),
                             self.authority, self.scratch, maxsize=16 << 30)
        self.parts.append(server)
        server.slapadd(entries(server, count))
        return server.start()

    def star(self, name):
        made = Star(os.path.join(self.scratch, name), self.block,
                    hub_extra=HUB)
        made.default_extra = 'wait = "10m";'
        self.parts.append(made)
        return made.start()

    def finish(self, part):
        part.stop()
        self.parts.remove(part)

    def close(self):
        for part in reversed(self.parts):
            part.stop()
        shutil.rmtree(self.scratch)

    # ---- the measurements ----

    def read(self):
        """Full read, first publication, unchanged read, few changes."""
        count = self.options.entries
        source = self.directory('big', count)
        star = self.star('star-read')
        spoke = star.join('big', source, domains=['west.example'],
                          export_extra=ALWAYS + LOOSE)
        search = ['ldapsearch', '-LLL', '-x', '-H', source.uri, '-D',
                  source.service_dn, '-y', source.password_file, '-b',
                  source.staff, '-E', 'pr=1000/noprompt', '(mail=*)'] + READ
        os.environ['LDAPTLS_CACERT'] = source.ca

        def searched():
            return timed(lambda: subprocess.run(
                search, stdout=subprocess.DEVNULL, check=True))

        searched()
        base = statistics.median(searched() for _ in range(3))
        self.note('ldapsearch of %d entries' % count, base, 's')
        export = spoke.prefix() + ['run', 'staff', '--no-wait']
        first, _ = wait4(export)
        self.note('first publication / ldapsearch', first / base, '', 1.8)
        spoke.export(timeout=600)
        same = statistics.median(wait4(export)[0] for _ in range(3))
        self.note('unchanged read and diff / ldapsearch', same / base, '', 1.3)
        self.changes(star, spoke, source)
        self.finish(star)
        self.finish(source)

    def changes(self, star, spoke, source):
        rows = list(source.search(source.staff, '(mail=*)', ['1.1']))[:100]
        for number, dn in enumerate(rows):
            source.modify(dn, title='Changed %d' % number)
        sent = star.wire.total()
        spoke.export(timeout=600)
        sent = star.wire.total() - sent
        bodies = changed_bodies(spoke, 100)
        zipped = len(gzip.compress(b''.join(bodies), 6))
        self.note('100 changes: bytes on the wire', sent, 'B',
                  1.3 * zipped + 1500)
        self.note('100 changes: gzip -6 of their bodies', zipped, 'B')

    def importing(self):
        count = min(10000, self.options.entries)
        source, target, plain = (
            self.directory('src', count), self.directory('dst'),
            self.directory('ref'))
        star = self.star('star-import')
        north = star.join('src', source, domains=['west.example'])
        south = star.join('dst', target)
        south.fetch()
        north.export(timeout=600)
        star.eventually(lambda: waiting(star.hub.box('DST')))
        took, _ = wait4(south.prefix() + ['run', 'partners'])
        path = os.path.join(self.scratch, 'contacts.ldif')
        with open(path, 'wb') as out:
            for dn, entry in target.search(target.partners,
                                           target.contact_filter).items():
                out.write(ldif(dn.replace('dc=dst', 'dc=ref'), entry))
        added = timed(lambda: subprocess.run(
            ['ldapadd', '-x', '-H', plain.uri, '-D', plain.service_dn, '-y',
             plain.password_file, '-f', path], check=True,
            stdout=subprocess.DEVNULL,
            env=dict(os.environ, LDAPTLS_CACERT=plain.ca)))
        self.note('ldapadd of %d contacts' % count, added, 's')
        self.note('first import / ldapadd', took / added, '', 1.0)
        self.note('contacts missing after it',
                  count - len(target.contacts(['mail'])), '', 0)
        for part in (star, source, target, plain):
            self.finish(part)

    def idle(self):
        source, target = self.directory('one', 1000), self.directory('two')
        star = self.star('star-idle')
        north = star.join('one', source, domains=['west.example'],
                          export_extra='lifetime = "30s";')
        south = star.join('two', target)
        for _ in range(2):
            north.export()
            south.fetch()
        took = [wait4(north.prefix() + ['run', 'staff'])[0] +
                wait4(south.prefix() + ['run', 'partners'])[0]
                for _ in range(5)]
        self.note('unchanged export and import', 1000 *
                  statistics.median(took), 'ms', 150)
        time.sleep(11)      # a third of the lifetime
        up, _ = star.wire.bytes()
        north.export()
        now, _ = star.wire.bytes()
        self.note('manifest signed again: bytes to the hub', now - up, 'B',
                  1500)
        for part in (star, source, target):
            self.finish(part)

    def fan_out(self):
        source = self.directory('hq', 2000)
        target = self.directory('many')
        spent = {count: self.fan(source, target, count) for count in (5, 50)}
        self.note('hub CPU for 5 targets', spent[5], 's')
        self.note('hub CPU, 50 targets / 5', spent[50] / spent[5], '', 1.3)
        self.finish(source)
        self.finish(target)

    def fan(self, source, target, count):
        star = self.star('star-%d' % count)
        north = star.join('hq', source, domains=['west.example'],
                          export_extra=LOOSE)
        spokes = []
        for number in range(count):
            unit = 'ou=t%d-%d,%s' % (count, number, target.partners)
            target.add(unit, {'objectClass': 'organizationalUnit'})
            spoke = star.join('t%d' % number, target, domains=[
                't%d.example' % number])
            path = os.path.join(spoke.directory, 'policies.d', 'staff.conf')
            with open(path) as f:
                text = f.read()
            with open(path, 'w') as out:
                out.write(text.replace(target.partners, unit))
            spokes.append(spoke)
        for spoke in spokes:    # what each wants, and the first full section
            spoke.fetch()
        north.export()
        for spoke in spokes:
            spoke.fetch()
        time.sleep(3)
        before = hub_cpu(star.hub)
        for dn in list(source.search(source.staff, '(mail=*)', ['1.1']))[
                :1000]:
            source.modify(dn, title='For %d' % count)
        north.export()
        star.eventually(lambda: [waiting(star.hub.box(s.member))
                                 for s in spokes])
        spent = hub_cpu(star.hub) - before
        self.finish(star)
        return spent

    def memory(self):
        peaks = {}
        for count in (self.options.entries, self.options.large):
            source, target = (self.directory('mem%d' % count, count),
                              self.directory('sink%d' % count))
            star = self.star('star-mem-%d' % count)
            north = star.join('mem%d' % count, source,
                              domains=['west.example'])
            south = star.join('sink%d' % count, target)
            south.fetch()
            _, exporter = wait4(north.prefix() + ['run', 'staff'])
            _, importer = wait4(south.prefix() + ['run', 'partners'])
            hub = hub_peak(star.hub)
            peaks[count] = {'export': exporter, 'import': importer,
                            'hub': hub}
            for part in (star, source, target):
                self.finish(part)
                shutil.rmtree(getattr(part, 'home', '/nonexistent'),
                              ignore_errors=True)
        small, large = sorted(peaks)
        for name in ('export', 'import', 'hub'):
            self.note('peak memory, %s, %d objects' % (name, small),
                      peaks[small][name], 'MiB', 64)
            self.note('peak memory, %s, %d objects' % (name, large),
                      peaks[large][name], 'MiB', 64)
            self.note('peak memory, %s, growth' % name,
                      peaks[large][name] / peaks[small][name], '', 1.1)


def entries(server, count):
    for number in range(count):
        entry = people.inet_person(people.person('west', number))
        yield server.person_dn(entry['cn']), entry


def waiting(box):
    assert box.names()


def changed_bodies(spoke, count):
    """The bodies of the newest objects of the spoke's own stream."""
    folder = os.path.join(spoke.state, 'streams')
    name = next(n for n in os.listdir(folder) if n.startswith('own-')
                and n.endswith('.db'))
    link = sqlite3.connect('file:%s?mode=ro' % os.path.join(folder, name),
                           uri=True)
    try:
        return [row[0] for row in link.execute(
            'SELECT body FROM object ORDER BY version DESC LIMIT ?',
            (count,))]
    finally:
        link.close()


def hub_cpu(hub):
    """Seconds of the supervisor and the workers it reaped: not the front,
    which does nothing but CURVE and copying."""
    with open('/proc/%d/stat' % hub.child.pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return sum(int(n) for n in fields[11:15]) / os.sysconf('SC_CLK_TCK')


def hub_peak(hub):
    """Greatest resident set of any process of the hub; ends it."""
    front = max(_high_water(pid) for pid in
                [hub.child.pid] + process.children(hub.child.pid))
    hub.child.terminate()
    _, _, usage = os.wait4(hub.child.pid, 0)
    hub.child.returncode = 0
    return max(front, usage.ru_maxrss / 1024)


def _high_water(pid):
    try:
        with open('/proc/%d/status' % pid) as f:
            for line in f:
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('--entries', type=int, default=100000)
    parser.add_argument('--large', type=int, default=500000)
    parser.add_argument('--only', help='read, importing, idle, fan_out or '
                        'memory')
    options = parser.parse_args()
    os.environ['GALRELAY_BUILD'] = os.path.abspath(options.build)
    bench = Bench(options)
    status = 0
    try:
        for name in ('idle', 'read', 'importing', 'fan_out', 'memory'):
            if options.only in (None, name):
                try:
                    getattr(bench, name)()
                except (AssertionError, RuntimeError,
                        subprocess.SubprocessError) as error:
                    print('%s: %s' % (name, error), file=sys.stderr)
                    status = 1
    finally:
        bench.close()
    print()
    table(('Measure', 'Value', 'Unit', 'Aim', ''), [
        (row['name'], '%.3f' % row['value'], row['unit'],
         '' if row['aim'] is None else '≤ %g' % round(row['aim'], 1),
         '' if row['aim'] is None else
         'met' if row['value'] <= row['aim'] else 'missed')
        for row in bench.rows])
    with open(os.path.join(options.build, 'bench.json'), 'w') as out:
        json.dump(bench.rows, out, indent=1)
    return status


if __name__ == '__main__':
    sys.exit(main())
