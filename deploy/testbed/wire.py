#!/usr/bin/python3
"""A relay between spokes and hub that counts the bytes on the wire, and can
cut every connection after a number of bytes.

    wire.py LISTEN-ADDRESS PORT TARGET-ADDRESS PORT COUNTERS

COUNTERS is a file of four 64-bit numbers that both sides map."""

import mmap
import os
import selectors
import socket
import struct
import subprocess
import sys
import time

FIELDS = ('up', 'down', 'connections', 'cut_after')


class Counters:
    def __init__(self, path):
        if not os.path.exists(path):
            with open(path, 'wb') as out:
                out.write(bytes(8 * len(FIELDS)))
        with open(path, 'r+b') as f:
            self.memory = mmap.mmap(f.fileno(), 8 * len(FIELDS))

    def get(self, field):
        return struct.unpack_from('=Q', self.memory,
                                  8 * FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into('=Q', self.memory, 8 * FIELDS.index(field), value)

    def add(self, field, value):
        self.set(field, self.get(field) + value)


class Wire:
    """The relay as a child process."""

    def __init__(self, listen, target, directory):
        from . import process
        path = os.path.join(directory, 'wire.counters')
        self.counters = Counters(path)
        self.argv = [sys.executable, os.path.abspath(__file__), listen[0],
                     str(listen[1]), target[0], str(target[1]), path]
        self.log = os.path.join(directory, 'wire.log')
        self.listen, self.child, self.process = listen, None, process

    def start(self, keep=False, pass_fds=()):
        self.child = self.process.start(self.argv, self.log, keep=keep,
                                        pass_fds=pass_fds)
        deadline = time.monotonic() + 10
        while not _answers(self.listen):
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise RuntimeError('the relay does not start')
            time.sleep(0.02)
        return self

    def stop(self):
        self.process.stop(self.child)
        self.child = None

    def bytes(self):
        """(to the hub, from the hub) so far."""
        return self.counters.get('up'), self.counters.get('down')

    def total(self):
        return sum(self.bytes())

    def cut_after(self, count):
        """Cut each connection after count bytes; 0: never."""
        self.counters.set('cut_after', count)


def _answers(where):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(where) == 0


class Relay:
    def __init__(self, listen, target, counters):
        self.target, self.counters = target, counters
        self.loop = selectors.DefaultSelector()
        self.server = socket.create_server(listen)
        self.loop.register(self.server, selectors.EVENT_READ, None)

    def run(self):
        while True:
            for key, _ in self.loop.select():
                if key.data is None:
                    self.accept()
                else:
                    self.pump(key.fileobj, key.data)

    def accept(self):
        near, _ = self.server.accept()
        far = socket.socket()
        try:
            far.connect(self.target)
        except OSError:
            near.close()
            far.close()
            return
        pair = {'near': near, 'far': far, 'bytes': 0}
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(30)
            self.loop.register(end, selectors.EVENT_READ, pair)
        self.counters.add('connections', 1)

    def pump(self, source, pair):
        if source.fileno() < 0:     # closed by its other half
            return
        try:
            data = source.recv(65536)
            other = pair['far'] if source is pair['near'] else pair['near']
            if data:
                other.sendall(data)
        except OSError:
            data = b''
        up = source is pair['near']
        self.counters.add('up' if up else 'down', len(data))
        pair['bytes'] += len(data)
        limit = self.counters.get('cut_after')
        if not data or (limit and pair['bytes'] > limit):
            for end in (pair['near'], pair['far']):
                self.loop.unregister(end)
                end.close()


def main(argv):
    # A connection probe must not look like traffic: nothing is counted but
    # payload, and a probe sends none.
    Relay((argv[0], int(argv[1])), (argv[2], int(argv[3])),
          Counters(argv[4])).run()


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except (KeyboardInterrupt, subprocess.SubprocessError):
        pass
