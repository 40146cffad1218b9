#!/usr/bin/python3
"""Measure galrelay against public tools in the same run.

    tests/bench/bench.py [--build DIR] [--only WORD[,WORD ...]] [--entries N]
                         [--people N] [--small N] [--large N]

Prints a table and writes BUILD/bench.json: name, value, unit, aim, and the
load when it was measured. Needs slapd, and root for Samba; clocks start with
the directory up or the bundle present. Whatever else the machine does can
only add time: wall times are the best of several."""

import argparse
import gzip
import json
import os
import re
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'deploy'))

from testbed import net, people, process, samba_forest  # noqa: E402
from testbed import slapd, tls                         # noqa: E402
from testbed.slapd import ldif                         # noqa: E402
from testbed.star import Star                          # noqa: E402
from testbed.table import table                        # noqa: E402

FOREIGN = 'foreign_limit = 1000000;'
ALWAYS = 'proof = "0";'     # read everything each time
LOOSE = 'max_delete_percent = 100;\n\t\tmax_delete_count = 1000000;'
LIFETIME = 24               # s, of a manifest
SAMPLE = 0.01               # s between two looks at the memory of processes
ROUNDS = 5
PICTURES = 1000
GROUPS = ('idle', 'read', 'pictures', 'changes', 'following', 'following_samba',
          'importing', 'fan_out', 'memory', 'memory_choice')
TEAM = 10                   # people below one manager
LIST = 1000                 # members of one group
UNITS = ('Even', 'Odd')     # below ou=Staff; who is where
# What is exported, and what else the policy says. Everybody is found, by the
# search once more, or as a member, or as a manager too.
CHOICES = {
    'two OUs and a search': ('''
        { ou = "ou=Even,%(staff)s"; }, { ou = "ou=Odd,%(staff)s"; },
        { search = "*"; kinds = [ "user" ]; }''', ''),
    'members of groups': (
        '{ search = "*"; kinds = [ "group" ]; groups = "both"; }', ''),
    'people and managers': ('{ ou = "%(staff)s"; }', 'manager = true;')}


class Run:
    """One command run to its end: seconds, and CPU seconds of it, of the
    children that it waited for, and of the server that it worked with."""

    def __init__(self, argv, server, env=None):
        before, began = cpu(server), time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE,
                                 env=dict(os.environ, **(env or {})))
        message = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        self.wall = time.monotonic() - began
        self.own = usage.ru_utime + usage.ru_stime
        self.cpu = self.own + cpu(server) - before
        child.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise RuntimeError('%s: %s' % (argv, message.decode()[-1000:]))


class Memory(threading.Thread):
    """Greatest resident set of each process below some, by its name. The
    kernel keeps the peak, so that sampling loses only a process's last
    moments; ru_maxrss would include the Python that forked it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.roots, self.peaks, self.ended = {}, {}, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(SAMPLE):
            for pid, name in list(self.roots.items()):
                self.look(pid, name, pid)
                for child in process.children(pid):
                    self.look(child, name, pid)

    def look(self, pid, name, root):
        try:
            with open('/proc/%d/status' % pid) as f:
                fields = dict(line.split(':', 1) for line in f)
            peak = int(fields['VmHWM'].split()[0]) / 1024
            own = fields['Name'].strip()
        except (OSError, KeyError, ValueError):
            return
        if not own.startswith('gal') and 'front' not in own:
            return          # between fork and exec it is a Python
        # Until it has its own name, the front of a single run has its name.
        front = 'front' in own or name != 'hub'
        key = name if pid == root else '%s, %s' % (
            name, 'front' if front else 'worker')
        self.peaks[key] = max(peak, self.peaks.get(key, 0))

    def watch(self, argv, name):
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)
        self.roots[child.pid] = name
        status = child.wait()
        del self.roots[child.pid]
        if status:
            raise RuntimeError('%s: exit status %d' % (argv, status))

    def end(self):
        self.ended.set()
        self.join()
        return self.peaks


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu(server):
    """CPU seconds of a server's process and of the children it reaped."""
    return _spent(server.child.pid)


def _spent(pid, first=11):
    try:
        with open('/proc/%d/stat' % pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
    except OSError:
        return 0
    return sum(int(n) for n in fields[first:15]) / os.sysconf('SC_CLK_TCK')


def best(runs):
    return min(run.wall for run in runs)


def middle(runs, field='wall'):
    return statistics.median(getattr(run, field) for run in runs)


class Bench:
    def __init__(self, options):
        self.options = options
        self.scratch = tempfile.mkdtemp(prefix='galrelay-bench-')
        self.block = net.Block()
        self.authority = tls.Authority(os.path.join(self.scratch, 'tls'))
        self.rows, self.parts, self.hosts = [], [], 10

    def note(self, name, value, unit, aim=None):
        self.rows.append({'name': name, 'value': round(value, 3),
                          'unit': unit, 'aim': aim,
                          'load': round(os.getloadavg()[0], 1)})
        print('%-58s %10.3f %-6s %s' % (name, value, unit, '' if aim is None
                                        else 'aim ≤ %g' % aim), flush=True)

    def directory(self, name, count=0, picture=0, loaded=None, **more):
        """A server with these people, or with those that `loaded` gives."""
        self.hosts += 1
        server = slapd.Slapd(name, self.block.address(self.hosts),
                             self.authority, self.scratch, maxsize=16 << 30,
                             **more)
        self.parts.append(server)
        server.slapadd(loaded(server, count) if loaded else
                       entries(server, count, picture))
        return server.start()

    def star(self, name, metered=True):
        made = Star(os.path.join(self.scratch, name), self.block,
                    hub_extra=FOREIGN, metered=metered)
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
        """Full read, first publication, unchanged read; where CPU goes."""
        count, question = self.options.entries, self.asked()
        source = self.directory('big', count)
        star = self.star('star-read')
        spokes = [star.join('big%d' % number, source,
                            domains=['west%d.example' % number],
                            export_extra=ALWAYS + LOOSE)
                  for number in range(ROUNDS + 1)]
        search = ['ldapsearch', '-LLL', '-x', '-H', source.uri, '-D',
                  source.service_dn, '-y', source.password_file, '-b',
                  source.staff, '-E', 'pr=1000/noprompt'] + question
        environment = {'LDAPTLS_CACERT': source.ca}
        Run(search, source, environment)
        first, same = [], []
        # Turn by turn, so that whatever else the machine does hits all.
        for spoke in spokes[1:]:
            line = spoke.prefix() + ['run', 'staff', '--no-wait']
            for runs in (first, same):
                runs.append((Run(search, source, environment),
                             Run(line, source)))
        for name, runs, aim in (
                ('first publication', first, 1.5),
                ('unchanged read and diff', same, 1.1)):
            plain, ours = zip(*runs)
            self.note('ldapsearch of %d entries, beside %s' % (count, name),
                      best(plain), 's')
            self.note('%s / ldapsearch' % name, best(ours) / best(plain), '',
                      aim)
            self.note('%s / ldapsearch, CPU with slapd' % name,
                      middle(ours, 'cpu') / middle(plain, 'cpu'), '')
            self.note('%s, CPU of galspoke an entry' % name,
                      1e6 * middle(ours, 'own') / count, 'us')
            self.stages(name, spokes[0])
        self.finish(star)
        self.finish(source)

    def asked(self):
        """Filter and attributes with which galspoke reads a directory: what
        slapd logs of a run."""
        source = self.directory('asked', 1, debug=256)
        star = self.star('star-asked', metered=False)
        star.join('asked', source, domains=['west.example']).export()
        self.finish(star)
        self.finish(source)
        with open(source.log) as log:
            text = log.read()
        found = re.findall('SRCH base="%s" scope=2 .* filter="(.*)"\n.*SRCH '
                           'attr=(.*)\n' % source.staff, text, re.I)
        return [found[-1][0]] + found[-1][1].split()

    def stages(self, name, spoke):
        said = spoke.json('run', 'staff', '--no-wait', '--timing')
        for stage, spent in said['cpu_us'].items():
            self.note('%s, CPU an entry: %s' % (name, stage),
                      spent / said['entries'], 'us')

    def following(self):
        """Runs of a feed at work: something was written, but nothing that
        the policy reads; and 100 changes."""
        count = self.options.entries
        source = self.directory('fed', count)
        self.follow('slapd, %d' % count, source, 'west.example',
                    people.inet_person(people.person('south', 1)))
        self.finish(source)

    def following_samba(self):
        count = self.options.people
        self.hosts += 1
        source = samba_forest.Samba(
            'north', self.block.address(self.hosts), self.authority,
            self.scratch, population=count)
        self.parts.append(source)
        source.start().wait()
        # A tombstone, so that its deletions can be believed in.
        source.delete(source.add_contact('Gone', 'gone@north.example'))
        self.follow('Samba, %d' % count, source, source.domain,
                    {'objectClass': 'contact', 'mail': 'far@south.example'})
        self.finish(source)

    def follow(self, what, source, domain, other):
        star = self.star('star-' + source.name, metered=False)
        spoke = star.join('fed', source, domains=[domain],
                          export_extra=LOOSE)
        spoke.export(timeout=600)
        elsewhere = source.add('cn=Elsewhere,' + source.partners,
                               dict(other, cn='Elsewhere'))
        spoke.export(timeout=600)
        rows = list(source.search(source.staff, '(mail=*)', ['1.1']))[:100]
        quiet, busy = [], []
        for number in range(ROUNDS):
            source.modify(elsewhere, description='Changed %d' % number)
            quiet.append(self.incremental(spoke, 0))
            for dn in rows:
                source.modify(dn, title='Changed %d' % number)
            busy.append(self.incremental(spoke, len(rows)))
        for name, runs, aim in (('nothing of ours changed', quiet, 150),
                                ('100 changes', busy, 250)):
            self.note('%s: %s, whole run' % (what, name),
                      1000 * min(wall for wall, _ in runs), 'ms', aim)
            self.note('%s: %s, CPU of galspoke' % (what, name),
                      1000 * statistics.median(own for _, own in runs), 'ms')
        self.finish(star)

    def incremental(self, spoke, changed):
        """(wall, CPU) seconds of a run that has to find so many changes by
        the feed."""
        before, began = children_cpu(), time.monotonic()
        said = spoke.json('run', 'staff')
        took = time.monotonic() - began, children_cpu() - before
        assert said['read'] and not said['whole'], said
        assert said['modified'] == changed and not said['added'], said
        return took

    def pictures(self):
        """Entries that each carry a picture of the greatest size."""
        source = self.directory('faces', PICTURES, picture=95000)
        star = self.star('star-faces')
        spokes = [star.join('faces%d' % number, source,
                            domains=['west%d.example' % number])
                  for number in range(2)]
        self.stages('%d pictures' % PICTURES, spokes[0])
        memory = Memory()
        memory.watch(spokes[1].prefix() + ['run', 'staff', '--no-wait'],
                     'export')
        self.note('peak memory, export, %d pictures' % PICTURES,
                  memory.end()['export'], 'MiB', 64)
        self.finish(star)
        self.finish(source)

    def changes(self):
        """What 100 changes and a quiet stream cost on the wire, counted in
        both directions on the link of a serving spoke."""
        source = self.directory('live', self.options.entries)
        star = self.star('star-live')
        spoke = star.join('live', source, domains=['west.example'],
                          export_extra=LOOSE + 'every = "1h";\n'
                          '\t\tlifetime = "%ds";' % LIFETIME)
        spoke.export(timeout=600)
        spoke.serve()
        star.eventually(lambda: connected(spoke))
        rows = list(source.search(source.staff, '(mail=*)', ['1.1']))[:100]
        for number, dn in enumerate(rows):
            source.modify(dn, title='Changed %d' % number)
        sent = self.sent(star, lambda: spoke.export(timeout=600))
        began = time.monotonic()
        bodies = changed_bodies(spoke, 100)
        zipped = len(gzip.compress(b''.join(bodies), 6))
        self.note('100 changes: gzip -6 of their bodies', zipped, 'B')
        self.note('100 changes: bytes on the wire', sent, 'B',
                  1.3 * zipped + 1500)
        self.note('unchanged cycle: bytes on the wire',
                  min(self.sent(star, spoke.export) for _ in range(2)),
                  'B', 0)
        renewed = []
        for _ in range(2):      # a heartbeat falls into one at most
            time.sleep(max(0, began + LIFETIME / 3 - time.monotonic()))
            renewed.append(self.sent(star, spoke.export))
            assert renewed[-1] > 0, 'the manifest was not signed again'
            began = time.monotonic()
        self.note('manifest signed again: bytes on the wire', min(renewed),
                  'B', 1536)
        spoke.stop()
        self.finish(star)
        self.finish(source)

    def sent(self, star, action):
        before = star.wire.total()
        action()
        time.sleep(1)       # for what both say at the end
        return star.wire.total() - before

    def importing(self):
        count = min(10000, self.options.entries)
        source, plain = self.directory('src', count), self.directory('ref')
        targets = [self.directory('dst%d' % n) for n in range(3)]
        star = self.star('star-import')
        north = star.join('src', source, domains=['west.example'])
        spokes = [star.join(target.name, target) for target in targets]
        for south in spokes:
            south.fetch()
        north.export(timeout=600)
        star.eventually(lambda: [waiting(star.hub.box(south.member))
                                 for south in spokes])
        took, added, missing = [], [], 0
        for target, south in zip(targets, spokes):
            took.append(Run(south.prefix() + ['run', 'partners'], target))
            unit = 'ou=%s,%s' % (target.name, plain.partners)
            plain.add(unit, {'objectClass': 'organizationalUnit'})
            added.append(self.ldapadd(plain, self.ldif(target, unit)))
            missing += count - len(target.contacts(['mail']))
        self.note('ldapadd of %d contacts' % count, middle(added), 's')
        self.note('first import / ldapadd', middle(took) / middle(added), '',
                  1.0)
        self.note('first import / ldapadd, CPU with slapd',
                  middle(took, 'cpu') / middle(added, 'cpu'), '')
        self.note('contacts missing after it', missing, '', 0)
        for part in [star, source, plain] + targets:
            self.finish(part)

    def ldif(self, target, unit):
        """What was imported, as LDIF for another place."""
        path = os.path.join(self.scratch, target.name + '.ldif')
        with open(path, 'wb') as out:
            for dn, entry in target.search(target.partners,
                                           target.contact_filter).items():
                out.write(ldif(dn.replace(target.partners, unit), entry))
        return path

    def ldapadd(self, server, path):
        return Run(['ldapadd', '-x', '-H', server.uri, '-D',
                    server.service_dn, '-y', server.password_file, '-f',
                    path], server, {'LDAPTLS_CACERT': server.ca})

    def idle(self):
        source, target = self.directory('one', 1000), self.directory('two')
        star = self.star('star-idle', metered=False)
        north = star.join('one', source, domains=['west.example'])
        south = star.join('two', target)
        for _ in range(2):
            north.export()
            south.fetch()
        took = [Run(north.prefix() + ['run', 'staff'], source).wall +
                Run(south.prefix() + ['run', 'partners'], target).wall
                for _ in range(9)]
        self.note('unchanged export and import', 1000 * min(took), 'ms', 150)
        for part in (star, source, target):
            self.finish(part)

    def fan_out(self):
        source = self.directory('hq', min(20000, self.options.entries))
        target = self.directory('many')
        spent = {count: self.fan(source, target, count) for count in (5, 50)}
        self.note('hub CPU for 5 targets', spent[5], 's')
        self.note('hub CPU, 50 targets / 5', spent[50] / spent[5], '', 1.3)
        self.finish(source)
        self.finish(target)

    def fan(self, source, target, count):
        star = self.star('star-%d' % count, metered=False)
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
        for spoke in spokes:    # what each wants
            spoke.fetch()
        time.sleep(4)           # for the worker to end
        before = hub_cpu(star.hub)
        north.export(timeout=600)
        star.eventually(lambda: [waiting(star.hub.box(s.member))
                                 for s in spokes])
        spent = hub_cpu(star.hub) - before
        self.finish(star)
        return spent

    def memory(self):
        peaks = {}
        for count in (self.options.small, self.options.large):
            source, target = (self.directory('mem%d' % count, count),
                              self.directory('sink%d' % count))
            star = self.star('star-mem-%d' % count)
            north = star.join('mem%d' % count, source,
                              domains=['west.example'])
            south = star.join('sink%d' % count, target)
            south.fetch()
            memory = Memory()
            memory.roots[star.hub.child.pid] = 'hub'
            memory.watch(north.prefix() + ['run', 'staff'], 'export')
            memory.watch(south.prefix() + ['run', 'partners'], 'import')
            peaks[count] = memory.end()
            missing = count - len(target.search(
                target.partners, target.contact_filter, ['1.1']))
            self.note('contacts missing of %d' % count, missing, '', 0)
            for part in (star, source, target):
                self.finish(part)
                shutil.rmtree(part.home if part is not star else
                              part.scratch)
        self.growth(peaks)

    def memory_choice(self):
        """Policies of which an object may be found more than once, or names
        others: first run, one after a few changes, and one that reads all."""
        peaks = {}
        for count in (self.options.small, self.options.large):
            source = self.directory('choice%d' % count, count, loaded=company)
            star = self.star('star-choice-%d' % count, metered=False)
            memory = Memory()
            for number, (name, (chosen, extra)) in enumerate(CHOICES.items()):
                spoke = star.join('choice%d' % number, source,
                                  domains=['west%d.example' % number],
                                  policies=policy(chosen % vars(source),
                                                  extra))
                self.choice(spoke, memory, name)
            peaks[count] = memory.end()
            self.finish(star)
            self.finish(source)
            shutil.rmtree(source.home)
            shutil.rmtree(star.scratch)
        self.growth(peaks)

    def choice(self, spoke, memory, name):
        source, line = spoke.ldap, spoke.prefix() + ['run', 'staff',
                                                     '--no-wait']
        memory.watch(line, 'first export, ' + name)
        for turn in range(3):   # too short for one to be looked at surely
            for number in range(100):
                source.modify(company_dn(source, number),
                              title='%s, turn %d' % (spoke.member, turn))
            memory.watch(line, 'incremental export, ' + name)
        memory.watch(line + ['--full'], 'proof, ' + name)

    def growth(self, peaks):
        small, large = sorted(peaks)
        for name in sorted(set(peaks[small]) | set(peaks[large])):
            for count in (small, large):
                self.note('peak memory, %s, %d objects' % (name, count),
                          peaks[count].get(name, 0), 'MiB', 64)
            self.note('peak memory, %s, growth' % name, peaks[large].get(
                name, 0) / peaks[small].get(name, 1), '', 1.1)


def entries(server, count, picture):
    for number in range(count):
        entry = people.inet_person(people.person('west', number))
        if picture:
            entry['jpegPhoto'] = (b'\xff\xd8\xff\xe0' + os.urandom(picture) +
                                  b'\xff\xd9')
        yield server.person_dn(entry['cn']), entry


def company_dn(server, number):
    return server.person_dn(people.person('west', number)['cn']).replace(
        server.staff, 'ou=%s,%s' % (UNITS[number % len(UNITS)],
                                    server.staff))


def company(server, count):
    """People in two OUs, ten below one manager, and lists of a thousand."""
    names = []
    for unit in UNITS:
        yield 'ou=%s,%s' % (unit, server.staff), {
            'objectClass': 'organizationalUnit', 'ou': unit}
    for number in range(count):
        entry = people.inet_person(people.person('west', number))
        dn = company_dn(server, number)
        if number % TEAM == 0:
            chief = dn
        names.append(dn)
        yield dn, dict(entry, manager=chief)
        if len(names) == LIST:
            name = 'list%d' % number
            yield 'cn=%s,%s' % (name, server.base), {
                'objectClass': ['groupOfNames', 'extensibleObject'],
                'cn': name, 'member': names, 'mail': name + '@west.example'}
            names = []


def policy(chosen, extra):
    return ('export: ( {{ name = "staff"; tag = "{name}/staff"; from = ( %s );'
            ' %s %s }} );' % (chosen.replace('{', '{{').replace('}', '}}'),
                            extra, LOOSE))


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


def connected(spoke):
    try:
        with open(os.path.join(spoke.state, 'front.json')) as f:
            there = json.load(f)['connected']
    except FileNotFoundError:
        there = False
    assert there


def hub_cpu(hub):
    """CPU seconds of the supervisor and its workers, running or reaped: not
    the front, which does nothing but CURVE and copying."""
    while True:
        before = _spent(hub.child.pid, 13)
        spent = _spent(hub.child.pid) + sum(
            _spent(pid) for pid in process.children(hub.child.pid)
            if 'front' not in _name(pid))
        if _spent(hub.child.pid, 13) == before:
            return spent    # nobody was reaped in between


def _name(pid):
    try:
        with open('/proc/%d/comm' % pid) as f:
            return f.read()
    except OSError:
        return 'front'


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('--entries', type=int, default=100000)
    parser.add_argument('--people', type=int, default=20000,
                        help='users of the Samba forest')
    parser.add_argument('--small', type=int, default=20000)
    parser.add_argument('--large', type=int, default=500000,
                        help='objects, for what memory is needed')
    parser.add_argument('--only', help=', '.join(GROUPS))
    options = parser.parse_args()
    only = options.only.split(',') if options.only else GROUPS
    if not set(only) <= set(GROUPS):
        parser.error('--only takes some of ' + ', '.join(GROUPS))
    os.environ['GALRELAY_BUILD'] = os.path.abspath(options.build)
    bench = Bench(options)
    status = 0
    try:
        for name in GROUPS:
            if name in only:
                try:
                    getattr(bench, name)()
                except (AssertionError, RuntimeError,
                        subprocess.SubprocessError) as error:
                    print('%s: %s' % (name, error), file=sys.stderr)
                    status = 1
    finally:
        bench.close()
    print()
    table(('Measure', 'Value', 'Unit', 'Aim', '', 'Load'), [
        (row['name'], '%.3f' % row['value'], row['unit'],
         '' if row['aim'] is None else '≤ %g' % round(row['aim'], 1),
         '' if row['aim'] is None else
         'met' if row['value'] <= row['aim'] else 'missed',
         '%.1f' % row['load'])
        for row in bench.rows])
    with open(os.path.join(options.build, 'bench.json'), 'w') as out:
        json.dump(bench.rows, out, indent=1)
    return status


if __name__ == '__main__':
    sys.exit(main())
