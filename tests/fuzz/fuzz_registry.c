/* A signed registry under the hub's known key, and every question asked of
 * what comes out. */
#include "tests/unit/wire_realm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_member(
    const struct registry *registry, const struct registry_member *member)
{
	size_t i, j;

	for (i = 0; i < member->key_count; i++) {
		const struct registry_key *key = &member->keys[i];

		INVARIANT(
		    registry_member_key(member, key->role, &key->id) == key);
		(void)registry_key_revoked(registry, &key->id);
		for (j = 0; j < member->key_count; j++)
			(void)registry_key_follows(
			    registry, member, &key->id, &member->keys[j].id);
	}
	INVARIANT(
	    member->revoked || registry_active_key(member, REGISTRY_SIGN));
	for (i = 0; i < member->domain_count; i++)
		INVARIANT(registry_domain_valid(member->domains[i]));
	(void)registry_domain_allotted(member, SLICE_LIT("a@b.example"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct realm realm;
	static bool ready;
	struct registry *registry;
	struct err err;
	size_t i;

	if (!ready) {
		INVARIANT(crypto_init(NULL) == 0);
		realm_init(&realm);
		ready = true;
	}
	err_clear(&err);
	if (registry_decode(slice_make(data, len),
		realm.hub.keys.sign_active.public_key, &registry, &err) < 0) {
		INVARIANT(err.class != ERR_NONE && registry == NULL);
		return 0;
	}
	check_member(registry, &registry->hub);
	for (i = 0; i < registry->member_count; i++) {
		const struct registry_member *m = &registry->members[i];

		INVARIANT(registry_find(registry, m->name) == m);
		check_member(registry, m);
	}
	registry_free(registry);
	return 0;
}
