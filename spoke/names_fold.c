/*
 * Names as a directory compares them. Active Directory takes "Muller",
 * "MÜLLER" and "müller" for one name within an OU (LCMapString ignoring case,
 * width and marks), slapd prepares strings by RFC 4518. Folding too much only
 * costs a serial number; folding too little costs a refused entry.
 */
#include "spoke/names.h"

#define FOLD_LATIN_FROM 0xc0
#define FOLD_LATIN_END 0x250
#define FOLD_MORE_FROM 0x1e00
#define FOLD_MORE_END 0x1f00

/* The plain letter of U+00C0..U+024F and U+1E00..U+1EFF; '-': the character
 * stands for itself; digits: two letters, see fold_pairs. */
static const char fold_latin[] =
    "aaaaaa1ceeeeiiiidnooooo-ouuuuy42aaaaaa1ceeeeiiiidnooooo-"
    "ouuuuy4yaaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiii"
    "ii55jjkkkllllll--llnnnnnnnnnoooooo33rrrrrrsssssssstttttt"
    "uuuuuuuuuuuuwwyyyzzzzzzsb----------------------i--l----o"
    "oo-------------uu----zz----------------------aaiioouuuuu"
    "uuuuu-aaaa11ggggkkoooo--j---gg--nnaa11ooaaaaeeeeiiiioooo"
    "rrrruuuusstt--hh------aaeeooooooooyy------acclt----b--ee"
    "jj--rryy";
static const char fold_more[] =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkll"
    "llllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrsssssssssstttttt"
    "ttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwy-s--2-aaaaaaaa"
    "aaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooo"
    "oooouuuuuuuuuuuuuuyyyyyyyy------";
static const char *const fold_pairs[] = {"", "ae", "ss", "oe", "th", "ij"};

_Static_assert(sizeof(fold_latin) == FOLD_LATIN_END - FOLD_LATIN_FROM + 1,
    "a letter for each character");
_Static_assert(sizeof(fold_more) == FOLD_MORE_END - FOLD_MORE_FROM + 1,
    "a letter for each character");

/* Greek letters with marks, and Cyrillic ones; each becomes the next. */
static const uint16_t fold_others[][2] = {
    {0x386, 0x3b1},
    {0x388, 0x3b5},
    {0x389, 0x3b7},
    {0x38a, 0x3b9},
    {0x38c, 0x3bf},
    {0x38e, 0x3c5},
    {0x38f, 0x3c9},
    {0x390, 0x3b9},
    {0x3aa, 0x3b9},
    {0x3ab, 0x3c5},
    {0x3ac, 0x3b1},
    {0x3ad, 0x3b5},
    {0x3ae, 0x3b7},
    {0x3af, 0x3b9},
    {0x3b0, 0x3c5},
    {0x3c2, 0x3c3},
    {0x3ca, 0x3b9},
    {0x3cb, 0x3c5},
    {0x3cc, 0x3bf},
    {0x3cd, 0x3c5},
    {0x3ce, 0x3c9},
    {0x401, 0x435},
    {0x419, 0x438},
    {0x439, 0x438},
    {0x451, 0x435},
    {0x457, 0x456},
    {0x407, 0x456},
};

/* One code point of well-formed UTF-8; *at moves behind it. */
static uint32_t
fold_decode(struct slice text, size_t *at)
{
	const uint8_t *p = text.data + *at;
	size_t more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
	uint32_t c = p[0] & (more == 0 ? 0x7f : 0x3f >> more);
	size_t i;

	for (i = 1; i <= more; i++)
		c = c << 6 | (p[i] & 0x3f);
	*at += more + 1;
	return c;
}

static void
fold_encode(struct buf *out, uint32_t c)
{
	if (c >= 0x10000) {
		buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
	} else if (c >= 0x800) {
		buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
	}
	if (c >= 0x800)
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	else if (c >= 0x80)
		buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
	buf_add_byte(out, (uint8_t)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
}

/* Combining marks and what has no width. */
static bool
fold_ignored(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2064) ||
	       c == 0xad || c == 0xfeff || (c >= 0xfe00 && c <= 0xfe0f);
}

static bool
fold_blank(uint32_t c)
{
	return c <= 0x20 || c == 0x7f || c == 0xa0 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x3000;
}

static char
fold_letter(uint32_t c)
{
	if (c >= FOLD_LATIN_FROM && c < FOLD_LATIN_END)
		return fold_latin[c - FOLD_LATIN_FROM];
	if (c >= FOLD_MORE_FROM && c < FOLD_MORE_END)
		return fold_more[c - FOLD_MORE_FROM];
	return '-';
}

static uint32_t
fold_other(uint32_t c)
{
	size_t i;

	if (c < 0x370 || c >= 0x460)
		return c;
	for (i = 0; i < sizeof(fold_others) / sizeof(fold_others[0]); i++)
		if (fold_others[i][0] == c)
			return fold_others[i][1];
	if ((c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	return c >= 0x400 && c <= 0x40f ? c + 0x50 : c;
}

static void
fold_character(struct buf *out, uint32_t c)
{
	char letter;

	if (c >= 0xff01 && c <= 0xff5e)
		c -= 0xfee0;
	letter = fold_letter(c);
	if (letter >= '1' && letter <= '5')
		buf_add_str(out, fold_pairs[letter - '0']);
	else if (letter != '-')
		buf_add_byte(out, (uint8_t)letter);
	else if (c >= 'A' && c <= 'Z')
		buf_add_byte(out, (uint8_t)(c + 0x20));
	else
		fold_encode(out, fold_other(c));
}

void
names_key(struct slice text, struct buf *out)
{
	bool utf8 = slice_is_utf8(text);
	size_t start = out->len;
	bool blank = false;
	size_t at = 0;

	while (at < text.len) {
		uint32_t c = utf8 ? fold_decode(text, &at) : text.data[at++];

		if (fold_blank(c)) {
			blank = out->len > start;
			continue;
		}
		if (fold_ignored(c))
			continue;
		if (blank)
			buf_add_byte(out, ' ');
		blank = false;
		fold_character(out, c);
	}
}
