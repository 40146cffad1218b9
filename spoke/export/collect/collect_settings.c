#include "spoke/export/collect/collect_settings.h"

#include "common/base/buf.h"

/* Raised when shape.c answers otherwise than before for the same entry. */
#define COLLECT_SHAPE_VERSION "5"
#define SETTINGS_MAX ((size_t)4 << 20)

static void
hash_list(struct buf *buf, const char *const *list, size_t count)
{
	buf_addf(buf, "%zu", count);
	for (size_t i = 0; i < count; i++) {
		buf_add_byte(buf, 0);
		buf_add_str(buf, list[i]);
	}
	buf_add_byte(buf, 0);
}

/* Starts anew with what counts for everything. */
static void
hash_begin(struct buf *buf, const struct spoke_conf *conf)
{
	buf_reset(buf);
	buf_addf(
	    buf, "%s %d", COLLECT_SHAPE_VERSION, (int)conf->directory.dialect);
	hash_list(buf, &conf->legacy_prefix, 1);
}

static void
content_add(struct buf *buf, const struct export_policy *p)
{
	buf_addf(buf, "%d %d %d %d %d %d", p->manager, p->memberships,
	    (int)p->preset, (int)p->forwarded, p->source_dn, p->delegation);
	hash_list(buf, p->allow, p->allow_count);
	hash_list(buf, p->deny, p->deny_count);
}

static void
reasons_add(
    struct buf *buf, const struct export_policy *p, const char *provenance)
{
	buf_addf(buf, "%d %d %d", p->hidden, p->disabled, (int)p->closed);
	hash_list(buf, &p->mark, 1);
	hash_list(buf, &p->mark_attribute, p->mark_attribute != NULL);
	hash_list(buf, p->foreign_marks, p->foreign_mark_count);
	hash_list(buf, &provenance, provenance != NULL);
}

static void
contexts_add(struct buf *buf, const struct forest *forest)
{
	for (size_t i = 0; i < forest_count(forest); i++) {
		const char *context = forest_dn(forest, i);

		hash_list(buf, &context, 1);
	}
}

static void
places_add(struct buf *buf, const struct export_policy *p)
{
	for (size_t i = 0; i < p->base_count; i++) {
		const struct export_base *base = &p->bases[i];
		const char *texts[] = {base->ou != NULL ? base->ou : "",
		    base->search != NULL ? base->search : "",
		    base->filter != NULL ? base->filter : "",
		    base->object != NULL ? base->object : ""};

		buf_addf(buf, "%d %u %d %u", (int)base->scope, base->kind_set,
		    (int)base->groups, base->depth);
		hash_list(buf, texts, 4);
		hash_list(buf, base->exclude, base->exclude_count);
	}
}

static void
head_add(struct buf *buf, const struct export_policy *p)
{
	hash_list(buf, &p->tag, 1);
	hash_list(buf, p->audience, p->audience_count);
}

void
collect_settings_hash(const struct spoke_conf *conf,
    const struct export_policy *policy, const struct forest *forest,
    struct collect_settings *out_settings)
{
	const char *provenance =
	    dialect_provenance_attribute(forest_dialect(forest));
	struct buf buf;

	buf_init(&buf, SETTINGS_MAX);
	hash_begin(&buf, conf);
	content_add(&buf, policy);
	crypto_sha256(buf_slice(&buf), out_settings->content);
	reasons_add(&buf, policy, provenance);
	contexts_add(&buf, forest);
	places_add(&buf, policy);
	crypto_sha256(buf_slice(&buf), out_settings->policy);
	hash_begin(&buf, conf);
	reasons_add(&buf, policy, provenance);
	crypto_sha256(buf_slice(&buf), out_settings->reasons);
	buf_reset(&buf);
	head_add(&buf, policy);
	crypto_sha256(buf_slice(&buf), out_settings->head);
	buf_fini(&buf);
	collect_settings_conf_hash(conf, policy, out_settings->conf);
}

void
collect_settings_conf_hash(const struct spoke_conf *conf,
    const struct export_policy *policy, uint8_t out_hash[CRYPTO_HASH_LEN])
{
	struct buf buf;

	buf_init(&buf, SETTINGS_MAX);
	hash_begin(&buf, conf);
	content_add(&buf, policy);
	reasons_add(&buf, policy, conf->directory.provenance);
	places_add(&buf, policy);
	head_add(&buf, policy);
	crypto_sha256(buf_slice(&buf), out_hash);
	buf_fini(&buf);
}
