"""A certificate authority for one run, with openssl's command line."""

import os
import subprocess


def _openssl(*argv, wrap=()):
    subprocess.run(tuple(wrap) + ('openssl',) + argv, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Authority:
    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.key = os.path.join(directory, 'ca.key')
        self.ca = os.path.join(directory, 'ca.pem')
        if not os.path.exists(self.ca):
            _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
                     'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
                     '-subj', '/CN=galrelay test authority',
                     '-addext', 'basicConstraints=critical,CA:TRUE',
                     '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
                     '-keyout', self.key, '-out', self.ca)

    def issue(self, name, *addresses, days=30, wrap=()):
        """Key and certificate for a server known by name and addresses.
        `wrap` comes before the program that signs: faketime."""
        base = os.path.join(self.directory, name)
        key, request, cert, extensions = (
            base + end for end in ('.key', '.csr', '.pem', '.ext'))
        with open(extensions, 'w') as out:
            out.write('subjectAltName=DNS:%s%s\n'
                      'basicConstraints=CA:FALSE\n'
                      'extendedKeyUsage=serverAuth\n' % (
                          name, ''.join(',IP:' + a for a in addresses)))
        _openssl('req', '-newkey', 'ec', '-pkeyopt',
                 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=' + name,
                 '-keyout', key, '-out', request)
        _openssl('x509', '-req', '-in', request, '-CA', self.ca, '-CAkey',
                 self.key, '-CAcreateserial', '-days', str(days), '-extfile',
                 extensions, '-out', cert, wrap=wrap)
        os.chmod(key, 0o600)
        return key, cert
