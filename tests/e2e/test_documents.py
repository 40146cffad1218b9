"""Manuals, help and README say the same; what is installed is complete."""

import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from testbed.star import ROOT, program

PAGES = {'galhub': 'hub/hub.8', 'galspoke': 'spoke/spoke.8'}
EXITS = {0: 'done', 1: 'failed', 2: 'usage', 3: 'held by a guard',
         4: 'partly done'}
NOBODY = 65534
# root can call as somebody else too
CALLERS = [os.geteuid()] + [NOBODY] * (os.geteuid() == 0)


def text(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def usage(name, *words):
    return subprocess.run([program(name), *words, '--help'], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True).stdout


def commands(name):
    """The first words of the indented lines above the options."""
    return set(re.findall(r'^  ([a-z][a-z-]*) ', usage(name), re.M))


def options(help_text):
    return set(re.findall(r'--([a-z][a-z-]*)', help_text))


@pytest.mark.parametrize('name', PAGES)
def test_manual_has_every_command_and_no_other(name):
    page = text(PAGES[name])
    listed = page[page.index('.Sh COMMANDS'):page.index('.Sh FILES')]
    found = set(re.findall(r'^\.(?:It )?Cm ([a-z-]+)', re.sub(
        r'\.It Xo\n', '.It ', listed).replace('.It .Cm', '.It Cm'), re.M))
    found = {word for word in found if re.search(
        r'^\.It (?:Xo\n\.)?Cm %s\b' % word, listed, re.M)}
    assert found == commands(name)


@pytest.mark.parametrize('name', PAGES)
def test_manual_has_every_option_and_no_other(name):
    known = options(usage(name))
    for command in commands(name):
        known |= options(usage(name, command))
    page = text(PAGES[name])
    found = {word.replace('\\-', '-') for word in re.findall(
        r'Fl \\-([a-z]+(?:\\-[a-z]+)*)', page)}
    # Options in examples are plain words; they have to exist as well.
    assert found == known
    assert options(page.replace('\\-', '-')) <= known


@pytest.mark.parametrize('name', PAGES)
def test_exit_codes_are_documented(name):
    page, readme = text(PAGES[name]), text('README.md')
    status = page[page.index('.Sh EXIT STATUS'):].lower()
    for code, word in EXITS.items():
        assert re.search(r'^\.it %d\n(wrong )?%s' % (code, word), status,
                         re.M), code
        assert re.search(r'^\| %d \| %s' % (code, word), readme, re.M), code
        assert '%d %s' % (code, word) in usage(name)


def test_readme_names_commands_targets_and_files_that_exist():
    readme = text('README.md')
    for name in PAGES:
        used = set(re.findall(r'%s ([a-z-]+)' % name, readme))
        assert used and used <= commands(name)
    targets = text('Makefile') + text('deploy/targets.mk')
    for target in re.findall(r'make ([a-z]+)', readme):
        assert re.search(r'^%s:' % target, targets, re.M), target
    for path in re.findall(r'`((?:common|deploy|hub|spoke|tests)/[^`]*)`',
                           readme):
        assert os.path.exists(os.path.join(ROOT, path.split()[0])), path
    for path in re.findall(r'share/doc/galrelay/(\S+)', readme):
        assert os.path.exists(os.path.join(ROOT, 'deploy', path)), path


def test_make_help_names_every_target():
    shown = subprocess.run(['make', '-s', 'help'], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    for target in ('test', 'demo', 'install', 'bench', 'fuzz', 'lint',
                   'analyze', 'cov', 'soak', 'clean'):
        assert 'make %s ' % target in shown + ' ' or \
            'make %s\n' % target in shown


def test_install_is_complete(tmp_path):
    build = os.environ.get('GALRELAY_BUILD', os.path.join(ROOT, 'build'))
    subprocess.run(
        ['make', '-s', 'install', 'BUILD=' + os.path.relpath(build, ROOT),
         'DESTDIR=%s' % tmp_path, 'PREFIX=/usr'] +
        (['SAN=1'] if 'san' in os.path.basename(build) else []),
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for path in ('sbin/galhub', 'sbin/galspoke', 'share/man/man8/galhub.8',
                 'share/man/man8/galspoke.8', 'share/man/man5/galrelay.5',
                 'lib/systemd/system/galhub.service',
                 'lib/systemd/system/galspoke.service',
                 'lib/sysusers.d/galrelay.conf',
                 'share/doc/galrelay/README.md',
                 'share/doc/galrelay/LICENSE',
                 'share/doc/galrelay/sample/hub.conf',
                 'share/doc/galrelay/sample/spoke.conf',
                 'share/doc/galrelay/sample/policies.d/staff.conf'):
        assert os.path.isfile(os.path.join(tmp_path, 'usr', path)), path
    assert os.path.isdir(os.path.join(tmp_path, 'etc/galrelay'))
    for name in PAGES:
        unit = text(os.path.join(
            tmp_path, 'usr/lib/systemd/system/%s.service' % name))
        assert 'ExecStart=/usr/sbin/%s ' % name in unit
        assert '@' not in unit.replace('@system-service', '')
        assert re.search(r'^MemoryMax=', unit, re.M)


@pytest.fixture
def open_path():
    """pytest's own directories are closed to other users."""
    with tempfile.TemporaryDirectory(prefix='galrelay-test-') as path:
        yield pathlib.Path(path)


def hub_as(caller, *argv):
    """One command of the hub, called by that user."""
    return subprocess.run(
        [program('galhub'), *argv], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd='/',
        preexec_fn=lambda: os.setuid(caller) if caller != os.geteuid()
        else None)


@pytest.mark.parametrize('caller', CALLERS)
def test_commands_of_root_go_on_as_the_configured_user(open_path, caller):
    """So that files belong to the service, whoever called. Others stay who
    they are: the setting does not concern them."""
    os.chmod(open_path, 0o755)
    os.chown(open_path, caller, -1)
    conf = open_path / 'hub.conf'
    state = open_path / 'lib' / 'galrelay' / 'hub'
    for user in ('nobody', 'no-such-user') if caller else ('nobody',):
        conf.write_text('state = "%s-%s"; user = "%s";' % (state, user, user))
        os.chmod(conf, 0o644)
        done = hub_as(caller, '--config', conf, 'init')
        assert done.returncode == 0, done.stderr
        made = [os.path.join(root, name) for root, _, names in os.walk(
            '%s-%s' % (state, user)) for name in [''] + names]
        assert len(made) > 3
        for path in made:
            assert os.lstat(path).st_uid == (caller or NOBODY), path
            assert not os.lstat(path).st_mode & 0o077, path
    if caller == 0:
        conf.write_text('state = "%s"; user = "no-such-user";' % state)
        done = hub_as(caller, '--config', conf, 'status')
        assert done.returncode == 1 and 'no-such-user' in done.stderr
