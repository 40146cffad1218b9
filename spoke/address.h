/*
 * Addresses of recipients as directories keep them: "SMTP:a@b" (primary),
 * "smtp:a@b", "X500:/o=...", "sip:...". Shared by both sides: the source cleans
 * them once, the target compares and claims them.
 */
#ifndef SPOKE_ADDRESS_H
#define SPOKE_ADDRESS_H

#include "common/base/arena.h"
#include "common/base/slice.h"

/* Upper length of proxyAddresses on Active Directory (rangeUpper). */
#define ADDRESS_PROXY_MAX 1123

enum address_type {
	ADDRESS_SMTP_PRIMARY, /* "SMTP:", upper case */
	ADDRESS_SMTP,
	ADDRESS_X500,
	ADDRESS_SIP,
	ADDRESS_OTHER
};

/* Type by prefix; *out_rest is what stands behind the colon. A value without a
 * colon is of type other. */
enum address_type address_parse(struct slice value, struct slice *out_rest);

/* Is this local@domain: one @ outside of quotes, a local part of 1..64 octets
 * without blanks, control bytes or angle brackets, and a domain of letters,
 * digits and hyphens with at least one dot, 254 octets in all (RFC 5321
 * section 4.5.3.1.3, RFC 1035 lengths)?
 * Octets above 127 must be UTF-8 (RFC 6531). */
bool address_smtp_valid(struct slice mail);

/* ASCII letters folded to lower case, in the arena: two SMTP addresses are the
 * same for a directory when their folded forms are equal bytes. */
struct slice address_fold(struct slice mail, struct arena *arena);

#endif
