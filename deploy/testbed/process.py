"""Child processes that never outlive the run that started them."""

import ctypes
import os
import signal
import subprocess
import time

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(argv, log, keep=False, pass_fds=(), env=None, stdin=None,
          cwd=None, before=None):
    """Start argv with its output appended to the file log. With keep it is
    detached and stays when this process ends; otherwise it gets SIGTERM.
    `before` runs in the child before exec."""

    def prepare():
        if not keep:
            _die_with_parent()
        if before:
            before()

    with open(log, 'ab') as out:
        return subprocess.Popen(
            argv, stdin=stdin or subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True, cwd=cwd,
            pass_fds=pass_fds, preexec_fn=prepare,
            env=dict(os.environ, **(env or {})))


def stop(child, seconds=5):
    """SIGTERM, then SIGKILL. Returns the exit status."""
    if child is None:
        return None
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdin:
        child.stdin.close()
    return child.returncode


def belongs(pid, scratch):
    """Does its command line mention the directory, or has it a file open
    there? Samba overwrites its command line."""
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as line:
            if scratch.encode() in line.read():
                return True
        opened = os.listdir('/proc/%d/fd' % pid)
    except OSError:
        return False
    for name in opened:
        try:
            if os.readlink('/proc/%d/fd/%s' % (pid, name)).startswith(
                    scratch + '/'):
                return True
        except OSError:
            continue
    return False


def stop_pid(pid, scratch, seconds=5):
    """Stop a detached process by its id, if it is still the one we started:
    it must belong to our scratch directory."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + seconds
        if not belongs(pid, scratch):
            return
        os.kill(pid, number)
        while belongs(pid, scratch) and time.monotonic() < deadline:
            time.sleep(0.05)


def children(pid):
    """Process ids of all descendants of pid."""
    found = []
    try:
        tasks = os.listdir('/proc/%d/task' % pid)
    except OSError:
        return found
    for task in tasks:
        try:
            with open('/proc/%d/task/%s/children' % (pid, task)) as f:
                direct = [int(word) for word in f.read().split()]
        except OSError:
            continue
        for child in direct:
            found.append(child)
            found += children(child)
    return found
