"""Tables for people: box drawing, aligned by what is seen."""

import sys
import unicodedata

COLOURS = {'+': '32', '~': '33', '-': '31', 'title': '1', 'dim': '2'}


def colour(text, name):
    if not sys.stdout.isatty():
        return text
    return '\033[%sm%s\033[0m' % (COLOURS[name], text)


def width(text):
    """Columns on a terminal."""
    return sum(0 if unicodedata.combining(c) or c in '\u200b\u202e' else
               2 if unicodedata.east_asian_width(c) in 'WF' else 1
               for c in text)


def fit(text, columns):
    """text cut or padded to exactly that many columns."""
    if width(text) > columns:
        while width(text) > columns - 1:
            text = text[:-1]
        text += '…'
    return text + ' ' * (columns - width(text))


def table(heads, rows, limits=(), indent='  '):
    """Print rows of strings beneath heads; None is a rule. limits: greatest
    width of each column, 0 for none."""
    limits = list(limits) + [0] * (len(heads) - len(limits))
    sizes = [max([width(head)] + [width(row[i]) for row in rows if row])
             for i, head in enumerate(heads)]
    sizes = [min(size, limit) if limit else size
             for size, limit in zip(sizes, limits)]

    def rule(left, middle, right):
        print(indent + colour(left + middle.join(
            '─' * (size + 2) for size in sizes) + right, 'dim'))

    def line(cells, name=None):
        bar = colour('│', 'dim')
        texts = [fit(cell, size) for cell, size in zip(cells, sizes)]
        if name:
            texts = [colour(text, name) for text in texts]
        print(indent + bar + bar.join(' %s ' % text for text in texts) + bar)

    rule('┌', '┬', '┐')
    line(heads, 'title')
    rule('├', '┼', '┤')
    for row in rows:
        if row is None:
            rule('├', '┼', '┤')
        else:
            mark = row[0] if row[0] in ('+', '~', '-') else None
            line([cell.replace('-', '−') if cell == '-' else cell
                  for cell in row], mark)
    rule('└', '┴', '┘')


def size(count):
    """Bytes as a person says them."""
    if count < 1000:
        return '%d bytes' % count
    return '%.1f KB' % (count / 1000)
