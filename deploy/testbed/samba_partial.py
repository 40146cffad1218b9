#!/usr/bin/python3
"""Put entries of another domain into a controller's database, as replication
would: with their own ids. The controller may run meanwhile.

    samba_partial.py HOME <JSON     {dn: {attribute: [base64]}}"""

import base64
import json
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB


def main(home):
    made = LoadParm()
    made.load(home + '/smb.conf')
    database = SamDB(home + '/private/sam.ldb', lp=made,
                     session_info=system_session())
    for dn, entry in json.load(sys.stdin).items():
        database.add(dict({name: [base64.b64decode(value) for value in values]
                           for name, values in entry.items()}, dn=dn),
                     ['relax:0', 'provision:0'])


if __name__ == '__main__':
    main(*sys.argv[1:])
