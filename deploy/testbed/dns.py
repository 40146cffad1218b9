"""A name server with a few records, and programs that ask it: dnsmasq, and a
mount namespace with an /etc/resolv.conf of its own."""

import os
import socket
import subprocess
import time

from . import process

CONFIGURATION = '''port=53
listen-address={address}
bind-interfaces
no-resolv
no-hosts
no-poll
local=/example/
user=root
pid-file=
log-facility=-
'''
# Asks for the root's name servers, recursion not desired.
QUERY = bytes.fromhex('77770000000100000000000000000200 01'.replace(' ', ''))


class Dns:
    def __init__(self, address, scratch):
        self.address = address
        self.home = os.path.join(scratch, 'dns')
        os.makedirs(self.home, exist_ok=True)
        self.records = []
        self.child = None
        self.resolv = os.path.join(self.home, 'resolv.conf')
        with open(self.resolv, 'w') as out:
            out.write('nameserver %s\noptions timeout:1 attempts:1\n'
                      % address)

    def host(self, name, address):
        self.records.append('host-record=%s,%s' % (name, address))

    def srv(self, service, target, port, priority=0, weight=100):
        self.records.append('srv-host=%s,%s,%d,%d,%d' % (
            service, target, port, priority, weight))

    def nobody(self, service):
        """The service is not offered here (RFC 2782: target ".")."""
        self.records.append('srv-host=' + service)

    def start(self):
        path = os.path.join(self.home, 'dnsmasq.conf')
        with open(path, 'w') as out:
            out.write(CONFIGURATION.format(address=self.address) +
                      ''.join(line + '\n' for line in self.records))
        self.child = process.start(
            ['/usr/sbin/dnsmasq', '--keep-in-foreground',
             '--conf-file=' + path], os.path.join(self.home, 'output'))
        self._wait()
        return self

    def _wait(self, seconds=10):
        deadline = time.monotonic() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(0.1)
            link.connect((self.address, 53))
            while True:
                try:
                    link.send(QUERY)
                    link.recv(512)
                    return
                except (ConnectionRefusedError, socket.timeout) as error:
                    if (self.child.poll() is not None or
                            time.monotonic() > deadline):
                        with open(os.path.join(self.home, 'output')) as log:
                            raise RuntimeError('dnsmasq does not answer: ' +
                                               log.read()) from error
                    time.sleep(0.02)

    def stop(self):
        process.stop(self.child)
        self.child = None

    def wrap(self):
        """What comes before a command line so that it asks this server."""
        return ['unshare', '--mount', 'sh', '-c',
                'mount --bind "$0" /etc/resolv.conf && exec "$@"',
                self.resolv]


def works():
    """May this user make mount namespaces here?"""
    return subprocess.run(['unshare', '--mount', 'true'],
                          capture_output=True).returncode == 0
