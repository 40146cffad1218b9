#include "spoke/address.h"

#define ADDRESS_LOCAL_MAX 64
/* A path has 256 octets with its angle brackets. */
#define ADDRESS_MAX 254
#define ADDRESS_DOMAIN_MAX 253
#define ADDRESS_LABEL_MAX 63

enum address_type
address_parse(struct slice value, struct slice *out_rest)
{
	static const struct slice smtp = {(const uint8_t *)"smtp:", 5};
	static const struct slice x500 = {(const uint8_t *)"x500:", 5};
	static const struct slice sip = {(const uint8_t *)"sip:", 4};

	*out_rest = value;
	if (slice_starts_case(value, smtp)) {
		*out_rest = slice_sub(value, 5, value.len);
		return memcmp(value.data, "SMTP:", 5) == 0
			   ? ADDRESS_SMTP_PRIMARY
			   : ADDRESS_SMTP;
	}
	if (slice_starts_case(value, x500)) {
		*out_rest = slice_sub(value, 5, value.len);
		return ADDRESS_X500;
	}
	if (slice_starts_case(value, sip)) {
		*out_rest = slice_sub(value, 4, value.len);
		return ADDRESS_SIP;
	}
	return ADDRESS_OTHER;
}

static bool
address_local_valid(struct slice local)
{
	size_t i;

	if (local.len == 0 || local.len > ADDRESS_LOCAL_MAX ||
	    !slice_is_utf8(local))
		return false;
	for (i = 0; i < local.len; i++) {
		uint8_t c = local.data[i];

		if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '@')
			return false;
	}
	return true;
}

static bool
address_domain_valid(struct slice domain)
{
	size_t label = 0;
	size_t dots = 0;
	size_t i;

	if (domain.len == 0 || domain.len > ADDRESS_DOMAIN_MAX)
		return false;
	for (i = 0; i < domain.len; i++) {
		uint8_t c = domain.data[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || c > 127;

		if (c == '.') {
			if (label == 0 || domain.data[i - 1] == '-')
				return false;
			label = 0;
			dots++;
			continue;
		}
		if (!alnum && (c != '-' || label == 0))
			return false;
		if (++label > ADDRESS_LABEL_MAX)
			return false;
	}
	return dots > 0 && label > 0 && domain.data[domain.len - 1] != '-' &&
	       slice_is_utf8(domain);
}

bool
address_smtp_valid(struct slice mail)
{
	size_t at = slice_find(mail, '@');

	if (at == SIZE_MAX || mail.len > ADDRESS_MAX)
		return false;
	return address_local_valid(slice_sub(mail, 0, at)) &&
	       address_domain_valid(slice_sub(mail, at + 1, mail.len));
}

struct slice
address_fold(struct slice mail, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, mail.len + 1);
	size_t i;

	if (out == NULL)
		return SLICE_NULL;
	for (i = 0; i < mail.len; i++) {
		uint8_t c = mail.data[i];

		out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	out[mail.len] = '\0';
	return slice_make(out, mail.len);
}
