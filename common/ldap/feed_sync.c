#include "common/ldap/feed_sync.h"

#include <stdlib.h>

#include "common/base/mem.h"

/* slapd sends 256 in a set; more than this is no set but an attack. */
#define SYNC_SET_MAX 65536

int
feed_sync_request(bool persist, struct slice cookie, struct berval *out_value)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	struct berval text = {cookie.len, (char *)cookie.data};
	int mode =
	    persist ? LDAP_SYNC_REFRESH_AND_PERSIST : LDAP_SYNC_REFRESH_ONLY;
	int rc = -1;

	*out_value = (struct berval){0, NULL};
	if (ber == NULL)
		return -1;
	/* reloadHint false: a server that lost track says so (4096). */
	if (cookie.len > 0)
		rc = ber_printf(ber, "{eObN}", mode, &text, 0);
	else
		rc = ber_printf(ber, "{ebN}", mode, 0);
	if (rc >= 0)
		rc = ber_flatten2(ber, out_value, 1);
	ber_free(ber, 1);
	return rc < 0 ? -1 : 0;
}

/* A reader of a value; NULL when there is none, which liber does not bear. */
static BerElement *
value_open(const struct berval *value)
{
	struct berval copy = *value;

	return copy.bv_val == NULL || copy.bv_len == 0 ? NULL : ber_init(&copy);
}

static void
cookie_replace(struct buf *cookie, const struct berval *text)
{
	buf_reset(cookie);
	buf_add(cookie, slice_make(text->bv_val, text->bv_len));
}

/* An optional cookie at the cursor. */
static int
cookie_scan(BerElement *ber, struct buf *cookie)
{
	struct berval text;
	ber_len_t len;

	if (ber_peek_tag(ber, &len) != LDAP_TAG_SYNC_COOKIE)
		return 0;
	if (ber_scanf(ber, "m", &text) == LBER_ERROR)
		return -1;
	cookie_replace(cookie, &text);
	return buf_failed(cookie) ? -1 : 0;
}

/* An optional boolean at the cursor; out stays as it is without one. */
static int
flag_scan(BerElement *ber, bool *out)
{
	ber_len_t len;
	ber_int_t flag = 0;

	if (ber_peek_tag(ber, &len) != LBER_BOOLEAN)
		return 0;
	if (ber_scanf(ber, "b", &flag) == LBER_ERROR)
		return -1;
	*out = flag != 0;
	return 0;
}

int
feed_sync_state_decode(const struct berval *value,
    enum feed_sync_state *out_state, struct id *out_id, struct buf *cookie)
{
	struct berval uuid = {0, NULL};
	BerElement *ber = value_open(value);
	ber_int_t state = -1;
	int rc = -1;

	*out_state = FEED_SYNC_PRESENT;
	if (ber == NULL)
		return -1;
	if (ber_scanf(ber, "{em", &state, &uuid) != LBER_ERROR && state >= 0 &&
	    state <= FEED_SYNC_DELETE &&
	    id_from_slice(slice_make(uuid.bv_val, uuid.bv_len), out_id, NULL) ==
		0 &&
	    cookie_scan(ber, cookie) == 0)
		rc = 0;
	if (rc == 0)
		*out_state = (enum feed_sync_state)state;
	ber_free(ber, 1);
	return rc;
}

int
feed_sync_done_decode(
    const struct berval *value, bool *out_deletes, struct buf *cookie)
{
	BerElement *ber = value_open(value);
	int rc = -1;

	*out_deletes = false;
	if (ber == NULL)
		return -1;
	if (ber_scanf(ber, "{") != LBER_ERROR &&
	    cookie_scan(ber, cookie) == 0 && flag_scan(ber, out_deletes) == 0)
		rc = 0;
	ber_free(ber, 1);
	return rc;
}

/* The set at the cursor. */
static int
ids_scan(BerElement *ber, struct feed_sync_info *out)
{
	BerVarray set = NULL;
	size_t n = 0;
	int rc = 0;

	if (ber_scanf(ber, "[W]", &set) == LBER_ERROR)
		return -1;
	while (set != NULL && set[n].bv_val != NULL)
		n++;
	if (n > SYNC_SET_MAX)
		rc = -1;
	if (rc == 0 && n > 0)
		out->ids = mem_calloc(n, sizeof(*out->ids));
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = id_from_slice(slice_make(set[i].bv_val, set[i].bv_len),
		    &out->ids[i], NULL);
	out->id_count = n;
	ber_bvarray_free(set);
	return rc;
}

static int
info_scan(BerElement *ber, struct feed_sync_info *out, struct buf *cookie)
{
	ber_tag_t tag;
	ber_len_t len;
	struct berval text;

	switch (ber_peek_tag(ber, &len)) {
	case LDAP_TAG_SYNC_NEW_COOKIE:
		out->message = FEED_SYNC_NEW_COOKIE;
		if (ber_scanf(ber, "tm", &tag, &text) == LBER_ERROR)
			return -1;
		cookie_replace(cookie, &text);
		return buf_failed(cookie) ? -1 : 0;
	case LDAP_TAG_SYNC_REFRESH_DELETE:
		out->message = FEED_SYNC_REFRESH_DELETE;
		out->flag = true;
		break;
	case LDAP_TAG_SYNC_REFRESH_PRESENT:
		out->message = FEED_SYNC_REFRESH_PRESENT;
		out->flag = true;
		break;
	case LDAP_TAG_SYNC_ID_SET:
		out->message = FEED_SYNC_ID_SET;
		break;
	default:
		return -1;
	}
	if (ber_scanf(ber, "t{", &tag) == LBER_ERROR ||
	    cookie_scan(ber, cookie) < 0 || flag_scan(ber, &out->flag) < 0)
		return -1;
	return out->message == FEED_SYNC_ID_SET ? ids_scan(ber, out) : 0;
}

int
feed_sync_info_decode(const struct berval *value,
    struct feed_sync_info *out_info, struct buf *cookie)
{
	BerElement *ber = value_open(value);
	int rc = -1;

	*out_info = (struct feed_sync_info){.message = FEED_SYNC_NEW_COOKIE};
	if (ber == NULL)
		return -1;
	rc = info_scan(ber, out_info, cookie);
	ber_free(ber, 1);
	if (rc < 0) {
		free(out_info->ids);
		*out_info =
		    (struct feed_sync_info){.message = FEED_SYNC_NEW_COOKIE};
	}
	return rc;
}
