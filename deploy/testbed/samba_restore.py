#!/usr/bin/python3
"""What a proper restore of a domain controller does beside putting its
database back: it becomes another one to its partners (a new invocationId).

    samba_restore.py SMB.CONF

A program of its own, because Samba's modules are not to be loaded into a test;
`samba-tool domain backup restore` does the same, but wants DNS zones."""

import os
import sys
import uuid

import ldb
from samba.auth import system_session
from samba.dcerpc import misc
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB


def main(conf):
    settings = LoadParm()
    settings.load(conf)
    db = SamDB(os.path.join(os.path.dirname(conf), 'private', 'sam.ldb'),
               session_info=system_session(), lp=settings)
    message = ldb.Message(ldb.Dn(db, db.get_dsServiceName()))
    message['invocationId'] = ldb.MessageElement(
        ndr_pack(misc.GUID(str(uuid.uuid4()))), ldb.FLAG_MOD_REPLACE,
        'invocationId')
    db.modify(message, ['relax:0'])


if __name__ == '__main__':
    main(sys.argv[1])
