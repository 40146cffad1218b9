"""Realistic people, the same every time: forests north, south and west."""

import random
import unicodedata

NAMES = {
    'north': ('Åsa Björn Saga Øystein Liv Jürgen Käthe Sören Ingrid Matti '
              'Aino Eero Freya Gunnar Helga Anders Maja Torsten Rasmus Signe',
              'Lindqvist Ångström Øverland Müller Groß Virtanen Nyström '
              'Sørensen Hämäläinen Jónsdóttir Berg Håkansson Weiß Dahl '
              'Mäkelä Schröder Kjær Falk Strand Öberg'),
    'south': ('Núria Íñigo Lucía Begoña Ángel Chiara Niccolò Eleni Giorgos '
              'Inês João Conceição Duarte Ximena Martín Alessia Yiannis '
              'Raúl Mercè Teodoro',
              'Muñoz Peña Ibáñez Gonçalves Παπαδόπουλος Rossi Esposito '
              'Güell Araújo Magalhães Castaño Ferrer Bianchi Conti '
              'Economou Nicolaou Yáñez Simões Vidal Lopes'),
    'west': ('Siobhán Pádraig Niamh Éamon Chloé Loïc Maëlle Renée Owain '
             'Seren Caoimhe Seán Zoë François Anaïs Gethin Aoife Brendan '
             'Moira Noël',
             "O'Brien Ó'Súilleabháin MacAoidh Lefèvre d'Arcy Côté Bélanger "
             'Griffiths Llewellyn Fitzgerald Müller-Roche Le~Guen Byrne '
             'Gagné Hughes Walsh Tremblay Évrard Penhallow Quinn'),
}
PLACES = {
    'north': ('+46 8', 'SE', 'Sweden',
              (('Stockholm', 'Kungsgatan', '111 43'),
               ('Göteborg', 'Avenyn', '411 36'),
               ('Umeå', 'Storgatan', '903 26'))),
    'south': ('+34 93', 'ES', 'Spain',
              (('Barcelona', 'Carrer d’Aragó', '08015'),
               ('Málaga', 'Calle Larios', '29005'),
               ('A Coruña', 'Rúa Real', '15003'))),
    'west': ('+353 1', 'IE', 'Ireland',
             (('Dublin', 'Grafton Street', 'D02 X285'),
              ('Dún Laoghaire', 'Marine Road', 'A96 K6P8'),
              ('Galway', 'Shop Street', 'H91 T8XN'))),
}
DEPARTMENTS = ('Sales', 'Finance', 'Engineering', 'Legal & Compliance',
               'Human Resources', 'Logistics', 'Research', 'IT Operations')
TITLES = ('Engineer', 'Senior Engineer', 'Analyst', 'Head of Department',
          'Account Manager', 'Counsel', 'Assistant', 'Director')
LETTERS = {'ø': 'o', 'ß': 'ss', 'æ': 'ae', 'ð': 'd', 'þ': 'th', 'ς': 's',
           'π': 'p', 'α': 'a', 'δ': 'd', 'ο': 'o', 'υ': 'u', 'λ': 'l'}


def ascii_of(text):
    """Letters and digits only, accents folded: for mail addresses."""
    plain = unicodedata.normalize('NFKD', text.lower())
    plain = ''.join(LETTERS.get(c, c) for c in plain)
    return ''.join(c for c in plain if c.isascii() and c.isalnum())


def organisation(forest):
    return forest.capitalize() + ' Industries'


def exchange_dn(forest, alias):
    return ('/o=%s/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)'
            '/cn=Recipients/cn=%s' % (forest.capitalize(), alias))


def person(forest, number, seed=1):
    """One person as a dict of attribute -> str or list, in the vocabulary of
    Active Directory with Exchange. The first 400 have distinct names."""
    dice = random.Random('%s/%d/%d' % (forest, number, seed))
    given, family = (words.split() for words in NAMES[forest])
    shift, first = divmod(number, len(given))
    first_name = given[first]
    last_name = family[(first + shift) % len(family)].replace('~', ' ')
    round_ = number // (len(given) * len(family))
    serial = '' if round_ == 0 else str(round_ + 1)
    domain = forest + '.example'
    alias = '%s.%s%s' % (ascii_of(first_name), ascii_of(last_name), serial)
    display = ' '.join(filter(None, (first_name, last_name, serial)))
    prefix, country, country_name, towns = PLACES[forest]
    town, street, code = dice.choice(towns)
    extension = dice.randrange(1000, 9999)
    mail = '%s@%s' % (alias, domain)
    proxies = ['SMTP:' + mail,
               'smtp:%s%d@%s' % (ascii_of(first_name)[:1] +
                                 ascii_of(last_name)[:8], number, domain)]
    if number % 3 == 0:
        proxies.append('sip:' + mail)
    entry = {
        'cn': display, 'displayName': display, 'givenName': first_name,
        'sn': last_name, 'mail': mail, 'mailNickname': alias,
        'sAMAccountName': ('%s%d' % (alias[:12].rstrip('.'), number))[:20],
        'proxyAddresses': proxies,
        'legacyExchangeDN': exchange_dn(forest, alias),
        'company': organisation(forest),
        'department': dice.choice(DEPARTMENTS), 'title': dice.choice(TITLES),
        'telephoneNumber': '%s %d' % (prefix, extension),
        'l': town, 'streetAddress': '%s %d' % (street, dice.randrange(1, 99)),
        'postalCode': code, 'c': country, 'co': country_name,
        'physicalDeliveryOfficeName': '%s %d.%02d' % (
            town[0], dice.randrange(1, 9), dice.randrange(1, 40)),
    }
    if number % 2:
        entry['mobile'] = '%s 5%d' % (prefix.split()[0], extension)
    return entry


def people(forest, count, start=0):
    return [person(forest, number) for number in range(start, start + count)]


def ad_user(entry):
    """objectClass and Exchange mailbox marks for a user in a forest, unless
    the entry has others; what is None there is left out."""
    made = dict(
        objectClass=['top', 'person', 'organizationalPerson', 'user'],
        userAccountControl='544',   # enabled, password not required
        internetEncoding='0',
        msExchHomeServerName='/o=x/ou=x/cn=Configuration/cn=Servers/cn=MB1',
        msExchRecipientDisplayType='1073741824',
        msExchRecipientTypeDetails='1')
    made.update(entry)
    return {name: value for name, value in made.items() if value is not None}


def inet_person(entry):
    """The same person for OpenLDAP's inetOrgPerson."""
    names = {'company': 'o', 'department': 'departmentNumber',
             'streetAddress': 'street', 'mailNickname': 'uid'}
    known = ('cn displayName givenName sn mail title telephoneNumber mobile l '
             'postalCode physicalDeliveryOfficeName').split()
    out = {'objectClass': ['inetOrgPerson']}
    for name, value in entry.items():
        if name in known or name in names:
            out[names.get(name, name)] = value
    return out
