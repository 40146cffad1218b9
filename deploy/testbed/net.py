"""Loopback addresses that concurrent test runs on one machine never share."""

import os
import socket


class Block:
    """A /24 beneath 127.77.0.0/16, ours until this process (and everything
    that inherited its lock) ends. The lock is an abstract socket: it leaves
    no file, and the kernel drops it even after kill -9."""

    def __init__(self):
        start = os.getpid()
        for step in range(254):
            number = 1 + (start + step) % 254
            if self._take(number):
                return
        raise RuntimeError('no free block in 127.77.0.0/16')

    def _take(self, number):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind('\0galrelay-testbed-127.77.%d' % number)
        except OSError:
            lock.close()
            return False
        self.lock, self.number = lock, number
        if self._in_use():
            lock.close()
            return False
        return True

    def _in_use(self):
        return any(answers(self.address(host), port)
                   for host in (11, 12, 13, 14) for port in (389, 636, 10389))

    def address(self, host):
        return '127.77.%d.%d' % (self.number, host)

    def keep(self):
        """Let children inherit the lock, so that it outlives this process."""
        self.lock.set_inheritable(True)
        return self.lock.fileno()

    def release(self):
        self.lock.close()


def relay_address(address):
    """Where a relay in front of the server at address may listen."""
    head, host = address.rsplit('.', 1)
    return '%s.%d' % (head, int(host) + 100)


def answers(address, port):
    """True when something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, port)) == 0
