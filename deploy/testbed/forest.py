#!/usr/bin/python3
"""Three Active Directory forests to play with, until taken down.

    forest.py up DIRECTORY [--people N] [NAME ...]   north south west
    forest.py down DIRECTORY

`up` prints how to reach them, as JSON; `down` stops them and removes
DIRECTORY."""

import argparse
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..'))

from testbed import net, process, samba_forest, tls  # noqa: E402


def up(directory, names, count):
    os.makedirs(directory)
    block = net.Block()
    lock = block.keep()
    authority = tls.Authority(os.path.join(directory, 'tls'))
    forests = [samba_forest.Samba(name, block.address(11 + i), authority, directory)
               for i, name in enumerate(names)]
    try:
        samba_forest.start_all(forests, keep=True, pass_fds=(lock,))
        for forest in forests:
            forest.populate(count)
            forest.close()
    except BaseException:
        for forest in forests:
            forest.stop()
        raise
    state = [{'name': f.name, 'uri': f.uri, 'base': f.base, 'ca': f.ca,
              'staff': f.staff, 'partners': f.partners,
              'admin': f.admin_dn, 'admin_password': f.admin_password,
              'service': f.service_dn, 'password_file': f.password_file,
              'pid': f.child.pid, 'look': f.ldapsearch()} for f in forests]
    with open(os.path.join(directory, 'forests.json'), 'w') as out:
        json.dump(state, out, indent=2)
    print(json.dumps(state, indent=2))


def down(directory):
    """Also takes down what a kept demonstration left in DIRECTORY."""
    pids = []
    path = os.path.join(directory, 'forests.json')
    if not os.path.exists(path):
        sys.exit(directory + ' was not made by this program')
    with open(path) as f:
        pids = [entry['pid'] for entry in json.load(f)]
    for pid in pids:
        process.stop_pid(pid, directory)
    shutil.rmtree(directory)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('verb', choices=('up', 'down'))
    parser.add_argument('directory')
    parser.add_argument('name', nargs='*', default=['north', 'south', 'west'])
    parser.add_argument('--people', type=int, default=20)
    options = parser.parse_args()
    directory = os.path.abspath(options.directory)
    if options.verb == 'up':
        up(directory, options.name, options.people)
    else:
        down(directory)


if __name__ == '__main__':
    main()
