"""Places and objects by their ids, and each kind of object by a search: on
both sorts of directory."""

import uuid

import pytest
from testbed import people
from testbed.reader import Reader


def is_ad(server):
    return hasattr(server, 'add_group')


@pytest.fixture(params=['active directory', 'openldap'])
def server(request, clean, openldap):
    return clean['west'] if request.param != 'openldap' else openldap


def unit(server, name, parent=None):
    return server.add('OU=%s,%s' % (name, parent or server.staff), {
        'objectClass': 'organizationalUnit', 'ou': name})


def person(server, name, parent, **more):
    mail = name.lower().replace(' ', '.') + '@west.example'
    entry = {'cn': name, 'sn': name, 'mail': mail, **more}
    if is_ad(server):
        entry = people.ad_user(dict(entry, mailNickname=mail.split('@')[0],
                                    sAMAccountName=name[:20]))
        entry.setdefault('proxyAddresses', ['SMTP:' + mail])
    else:
        entry['objectClass'] = 'inetOrgPerson'
    return server.add('CN=%s,%s' % (name, parent), entry)


def ids(server, dn):
    """As people may write them."""
    if not is_ad(server):
        text = server.read(dn, ['entryUUID'])['entryUUID'][0].decode()
        return text, '{%s}' % text.upper(), text.replace('-', '')
    raw = server.read(dn, ['objectGUID'])['objectGUID'][0]
    text = str(uuid.UUID(bytes_le=raw))
    return text, '{%s}' % text.upper(), raw.hex()


def names(reader, *more):
    """Who is in the stream after a reading."""
    return sorted(row['dn'].split(',')[0].split('=')[1]
                  for row in reader.read('dump', *more)['objects'])


def test_ids_instead_of_names(server, tmp_path):
    inner = unit(server, 'Inner')
    secret = unit(server, 'Secret', inner)
    person(server, 'One', inner)
    person(server, 'Two', secret)
    alone = person(server, 'Alone', server.staff)
    person(server, 'Nobody', server.staff)
    reader = Reader(tmp_path, server)

    def choose(way):
        ou, hole, one = (ids(server, dn)[way]
                         for dn in (inner, secret, alone))
        reader.policy('ou = "%s"; exclude = [ "%s" ];' % (ou, hole),
                      'object = "%s";' % one)
    for way in (1, 2, 0):
        choose(way)
        assert names(reader) == ['Alone', 'One']
    # whatever they are called now
    server.rename(secret, 'OU=Silent')
    server.rename(inner, 'OU=Renamed')
    inner = 'OU=Renamed,' + server.staff
    person(server, 'Three', inner)
    assert names(reader) == ['Alone', 'One', 'Three']
    person(server, 'Four', 'OU=Silent,' + inner)
    server.rename(alone, 'CN=Alone', 'OU=Silent,' + inner)
    assert names(reader) == ['Alone', 'One', 'Three']
    assert names(reader, 'full') == ['Alone', 'One', 'Three']
    # a single object that vanishes is told of, a unit stops the run
    server.delete('CN=Alone,OU=Silent,' + inner)
    assert names(reader) == ['One', 'Three']
    assert 'does not exist object=' in reader.log
    server.empty(inner)
    server.delete(inner)
    reader.refused('this OU has vanished')
    reader.policy('ou = "%s";' % uuid.uuid4())
    reader.refused('there is no such OU', 'correct ou in from of policy staff')


def test_each_kind_is_searched(server, tmp_path):
    ad = is_ad(server)
    box = 'CN=Zebra Box,' if ad else 'o=Zebra Box,'
    place = server.add(box + server.staff, {
        'objectClass': 'container' if ad else 'organization',
        'cn' if ad else 'o': 'Zebra Box'})
    person(server, 'Foal in a box', place)
    person(server, 'Foal in a unit', unit(server, 'Zebra Unit'))
    one = person(server, 'Zebra User', server.staff)
    person(server, 'Horse', server.staff)
    member = {'cn': 'Zebra Group', 'mail': 'zebra.group@west.example'}
    if ad:
        server.add_group('Zebra Group', member['mail'])
        server.add_contact('Zebra Contact', 'zebra@other.example')
        for cls, name in (('msExchDynamicDistributionList', 'Zebra Dynamic'),
                          ('publicFolder', 'Zebra Folder')):
            mail = name.lower().replace(' ', '.') + '@west.example'
            server.add('CN=%s,%s' % (name, place), {
                'objectClass': cls, 'cn': name, 'displayName': name,
                'mail': mail, 'mailNickname': mail.split('@')[0],
                'proxyAddresses': 'SMTP:' + mail})
    else:
        server.add('cn=Zebra Group,' + server.staff, dict(
            member, objectClass=['groupOfNames', 'extensibleObject'],
            member=one))
    in_box = ['Foal in a box'] + (['Zebra Dynamic', 'Zebra Folder']
                                  if ad else [])
    want = {'user': ['Zebra User'], 'group': ['Zebra Group'],
            'contact': ['Zebra Contact'] if ad else [],
            'dynamic-group': ['Zebra Dynamic'] if ad else [],
            'public-folder': ['Zebra Folder'] if ad else [],
            'container': in_box, 'ou': ['Foal in a unit']}
    everything = sorted(sum((want[kind] for kind in (
        'user', 'group', 'contact', 'dynamic-group', 'public-folder')), []))
    reader = Reader(tmp_path, server)
    for kind, found in want.items():
        reader.policy('search = "zebra*"; kinds = [ "%s" ];' % kind)
        assert names(reader, 'empty') == found, kind
    reader.policy('search = "zebra*";')
    assert names(reader, 'empty') == everything
    reader.policy('search = "Zebra *"; kinds = [ "user", "container" ];')
    assert names(reader, 'empty') == sorted(in_box + ['Zebra User'])
    # an address is a name too, also one that is not the first
    server.modify(one, **({'proxyAddresses': [
        'SMTP:zebra.user@west.example', 'smtp:stripes@west.example']} if ad
        else {'mail': ['zebra.user@west.example', 'stripes@west.example']}))
    reader.policy('search = "Stripes@west.example";')
    assert names(reader, 'empty') == ['Zebra User']
    # nothing but a star is more than itself
    reader.policy('search = "Zebra_User";', 'search = "Zebra ????";',
                  'search = "(cn=Zebra User)";', r'search = "Zebra\\2a";')
    assert names(reader, 'empty') == []
