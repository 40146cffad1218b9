#include "common/ldap/diagnostic.h"

#include <ctype.h>
#include <string.h>

/* Letters, digits, hyphens, options: RFC 4512 section 2.5. */
static size_t
name_length(const char *p)
{
	size_t n = 0;

	if (!isalpha((unsigned char)p[0]))
		return 0;
	while (isalnum((unsigned char)p[n]) || p[n] == '-' || p[n] == ';')
		n++;
	return n;
}

/* Takes the name that follows `mark`, if `end` follows the name. */
static bool
take_after(const char *text, const char *mark, const char *end, struct buf *out)
{
	const char *p = strcasestr(text, mark);
	size_t n;

	if (p == NULL)
		return false;
	p += strlen(mark);
	n = name_length(p);
	if (n == 0 || strncmp(p + n, end, strlen(end)) != 0)
		return false;
	buf_add(out, slice_make(p, n));
	return true;
}

/* Takes the name that stands before `mark`. */
static bool
take_before(const char *text, const char *mark, struct buf *out)
{
	const char *end = strstr(text, mark), *p = end;

	if (end == NULL)
		return false;
	while (p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '-'))
		p--;
	if (name_length(p) == 0)
		return false;
	buf_add(out, slice_make(p, (size_t)(end - p)));
	return true;
}

/* Active Directory: "..., Att 9012f (wWWHomePage):len 9000". */
static bool
take_ad(const char *text, struct buf *out)
{
	const char *p = strstr(text, "Att ");
	size_t n;

	if (p == NULL)
		return false;
	p = strchr(p, '(');
	n = p == NULL ? 0 : name_length(p + 1);
	if (n == 0 || p[1 + n] != ')')
		return false;
	buf_add(out, slice_make(p + 1, n));
	return true;
}

void
diagnostic_attribute(const char *diagnostic, struct buf *out)
{
	/* The first that fits. */
	if (take_after(diagnostic, "requires attribute '", "'", out) ||
	    take_after(diagnostic, "mandatory attribute ('", "'", out) ||
	    take_after(diagnostic, "attribute '", "'", out) ||
	    take_after(diagnostic, "breaks constraint on ", "", out) ||
	    take_after(diagnostic, "naming attribute '", "'", out) ||
	    take_ad(diagnostic, out))
		return;
	if (take_before(diagnostic, ": value #", out) ||
	    take_before(diagnostic, ": attribute type undefined", out) ||
	    take_before(diagnostic, ": multiple values", out))
		return;
}
