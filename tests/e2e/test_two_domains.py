"""A target of two domains, and a source that two servers hold."""

import pytest

from testbed.reader import domain, uris
from testbed.star import POLICIES, staff_mails

TWO = POLICIES.replace(
    'scope = "subtree"; }} );',
    'scope = "subtree"; }}, {{ ou = "%s"; }} );\n\t\tfeed = "auto";')


@pytest.fixture
def source(openldap):
    openldap.populate(6)
    return openldap


@pytest.fixture
def target(family):
    for one in (family.root, family.child):
        for unit in (one.staff, one.partners):
            one.empty(unit)
    family.forget()
    return family


def join(star, source, target, **more):
    star.join('east', source, domains=['west.example'])
    return star.join('trunk', target, **more)


def test_an_address_of_another_domain_is_taken(star, source, target):
    """The global catalogue knows it; nobody gets that address twice."""
    mails = sorted(staff_mails(source))
    dn = target.child.add_person(1, mail=mails[0], cn='Already Here')
    target.replicate(dn)
    # what is in the target's own domain is no less taken
    target.root.add_person(2, mail=mails[1], cn='Here As Well')
    trunk = join(star, source, target.root)
    star.spokes[0].export()
    said = trunk.fetch().text
    star.expect(trunk, mails[2:])
    assert '2 not imported (address exists here)' in said, said


def test_no_catalogue_no_import(star, source, target, block):
    """Who cannot see all addresses writes none."""
    gone = 'ldaps://%s:3269' % block.address(99)
    trunk = join(star, source, target.root,
                 directory_extra='global_catalog = [ "%s" ];' % gone)
    star.spokes[0].export()
    said = trunk.fetch(expect=1).text
    assert 'global_catalog: ' + gone in said, said
    assert not trunk.contacts()


def test_contacts_in_the_other_domain(star, source, target):
    """The import OU lies in the child domain: written at its controller."""
    root, child = target.root, target.child
    mails = sorted(staff_mails(source))
    root.add_person(2, mail=mails[0], cn='Here As Well')
    trunk = join(star, source, root, directory_extra=domain(child),
                 policies=POLICIES.replace('{partners}', child.partners))
    star.spokes[0].export()
    trunk.fetch()
    assert sorted(child.contacts()) == mails[1:]
    assert not root.contacts()
    marks = {mail: row['uSNChanged'] for mail, row in
             child.contacts(['mail', 'uSNChanged']).items()}
    trunk.do('run', 'partners', '--full')
    assert marks == {mail: row['uSNChanged'] for mail, row in
                     child.contacts(['mail', 'uSNChanged']).items()}


def test_two_servers_are_one_source(star, source, uplands, clean):
    """Published whole or not at all, and followed on both while serving."""
    uplands.empty(uplands.staff)
    uplands.populate(3, forest='south')
    west = clean['west']
    east = star.join('east', source, domains=['west.example', 'south.example'],
                     directory_extra=domain(uplands),
                     export_extra='every = "1h"; settle = "1s";',
                     policies=TWO % uplands.staff)
    reader = star.join('west', west, import_extra='every = "1h";')
    star.sync()
    star.expect(reader, staff_mails(source) + staff_mails(uplands))
    uplands.stop()
    try:
        before = star.hub.json('streams')
        source.add_person(70)
        said = east.export(expect=1).text
        assert uplands.base in said and uplands.uri in said, said
        assert not east.box('out').names()
        assert star.hub.json('streams') == before
    finally:
        uplands.start()
    for spoke in (east, reader):
        spoke.serve()

    def everyone():
        star.expect(reader, staff_mails(source) + staff_mails(uplands))

    star.eventually(everyone)
    uplands.add_person(71, forest='south')
    star.eventually(everyone)
    source.add_person(72)
    star.eventually(everyone)
    for spoke in (east, reader):
        assert spoke.stop() == 0, spoke.log_text()[-2000:]


def test_a_dead_server_first(star, source, uplands, block):
    """The second address serves, and the log of the run says so."""
    gone = 'ldaps://' + block.address(99)
    east = star.join('east', source, domains=['west.example'])
    with open(east.conf) as conf:
        text = conf.read()
    with open(east.conf, 'w') as out:
        out.write(text.replace('uri = [ "%s" ];' % source.uri,
                               uris(gone, source.uri)))
    said = east.export().text
    assert 'another server answered instead' in said and gone in said, said
    assert star.hub.json('streams')
