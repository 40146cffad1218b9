/* Digests of what a policy says, by which a run knows what changed in it. */
#ifndef SPOKE_EXPORT_COLLECT_COLLECT_SETTINGS_H
#define SPOKE_EXPORT_COLLECT_COLLECT_SETTINGS_H

#include "common/wire/crypto.h"
#include "spoke/conf.h"
#include "spoke/forest.h"

struct collect_settings {
	/* All that decides what an unchanged directory exports. */
	uint8_t policy[CRYPTO_HASH_LEN];
	/* Of that, what decides what is told of an object that goes out, */
	uint8_t content[CRYPTO_HASH_LEN];
	/* and which attributes leave an object out. */
	uint8_t reasons[CRYPTO_HASH_LEN];
	/* Tag and audience: they are in the manifest, and a change of them is a
	 * version. */
	uint8_t head[CRYPTO_HASH_LEN];
	/* All of these as far as the configuration alone says them. */
	uint8_t conf[CRYPTO_HASH_LEN];
};

void collect_settings_hash(const struct spoke_conf *conf,
    const struct export_policy *policy, const struct forest *forest,
    struct collect_settings *out_settings);
/* The last of them, for which no directory is asked. */
void collect_settings_conf_hash(const struct spoke_conf *conf,
    const struct export_policy *policy, uint8_t out_hash[CRYPTO_HASH_LEN]);

#endif
