/*
 * Where a policy looks: its `from` entries as the directory has them now. OUs,
 * excluded subtrees and single objects are pinned by id when they are first
 * seen, so that renaming or moving one changes nothing; a pinned OU that
 * vanished is an error. FEATURES E1 to E3.
 *
 *   whole:    scope_read() for each entry of `from`
 *   touched:  scope_read_ids(): reads these ids, and says of each whether it
 *             belongs
 */
#ifndef SPOKE_EXPORT_CHOOSE_SCOPE_H
#define SPOKE_EXPORT_CHOOSE_SCOPE_H

#include "common/ldap/dialect.h"
#include "common/replica/replica.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/conf.h"
#include "spoke/forest.h"

struct groups;
struct scope;
struct groups_doubt;

struct scope_options {
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	const struct export_policy *policy;
	struct replica *replica; /* keeps the pins; NULL: there are none */
	unsigned page_size;
	/* Another place under the name of one that vanished is meant. */
	bool repin;
	bool wide; /* also entries without a mail address, to count them */
	bool extended_dn; /* names come with ids, see search_options */
};

/* How an entry of the directory stands to the policy. */
struct scope_hit {
	size_t from;       /* index of the entry of `from` that found it */
	bool excluded;     /* by a level or a subtree that it leaves out */
	bool members_only; /* a group of which only the members go out */
	const struct groups *groups; /* it is a member; NULL: of none */
	uint32_t via;                /* of which of them */
};

/* Returns 0 to go on, 1 to stop without error, -1. The entry is valid until it
 * returns. */
typedef int scope_fn(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err);

/* Finds the places. Class config when an OU or an excluded subtree is not
 * there; the message names it and the cure. Everything is borrowed. */
int scope_open(const struct scope_options *options, struct scope **out_scope,
    struct err *err) ERR_WUR;
void scope_close(struct scope *scope);
/* Writes the pins and the members; with the version that they led to. */
int scope_pins_keep(struct scope *scope, struct err *err) ERR_WUR;
/* After reading: are the places still where scope_open() found them? One that
 * was renamed meanwhile let out what it leaves out, and nobody was found in it
 * any more. Class temporary, naming it. */
int scope_places_check(struct scope *scope, struct err *err) ERR_WUR;
/* The DN at which the OU or object of entry `from` is now; NULL: it is not
 * there, or it is a search. */
const char *scope_place_dn(const struct scope *scope, size_t from);
/* Single objects that are not there (any more). */
size_t scope_missing(const struct scope *scope);

/* Continuation references that reading met, each once; the first of them are
 * kept. What lies behind them is not read, and so not exported. Those to what
 * is read otherwise, or holds nobody, do not count. */
size_t scope_referrals(const struct scope *scope, const char *const **out_urls);

/* Does the policy expand groups? */
bool scope_expands(const struct scope *scope);
/* Reads who the members of the groups are that the policy expands, ids only,
 * for all that follows; costs nothing when it expands none. A group that
 * cannot be read whole is an error, and so is an entry of `from` that had
 * members and has none, class config. */
int scope_expand(struct scope *scope, struct err *err) ERR_WUR;
/* Reads them once more: who was in a group that was still to be read, and moved
 * into one that had been, was found in neither. scope_find() finds the members
 * of both readings then, and so does scope_read_ids(); everything else, also
 * what is kept, is as scope_expand() found it, so that the next run is told of
 * all that happened since. */
int scope_expand_again(struct scope *scope, struct err *err) ERR_WUR;
/* Calls fn with the ids whose membership is another than the one that
 * scope_pins_keep() wrote, and the members of whom no feed tells. */
int scope_members_changed(
    struct scope *scope, replica_id_fn *fn, void *arg, struct err *err) ERR_WUR;
/* Groups whose list cannot be believed: their members are not to be deleted. */
const struct groups_doubt *scope_doubts(
    const struct scope *scope, size_t *out_count);
/* Dynamic groups whose filter the directory refuses. */
size_t scope_refused(const struct scope *scope);

/* Does a filter of the policy ask for what changes without its entry being
 * touched? */
bool scope_asks_links(const struct scope *scope);

/* Does the policy read in that naming context of the forest? */
bool scope_reads(const struct scope *scope, size_t context);
/* Does entry `from` of the policy find anything at all? 1, 0, -1. */
int scope_has_entries(
    struct scope *scope, size_t from, struct err *err) ERR_WUR;

/* Reads what entry `from` of the policy finds, and the members of its groups;
 * an object may come twice. */
int scope_read(struct scope *scope, size_t from, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err) ERR_WUR;
/* Does this entry belong, and by which entry of `from`? 1, 0, -1. One by which
 * it goes out is preferred to one by which only its members do, and that to one
 * that excludes it. */
int scope_find(struct scope *scope, const struct search_entry *entry,
    struct scope_hit *out_hit, struct err *err) ERR_WUR;
/* The DN of the group that it is a member of, for the caller to free; NULL: of
 * none. */
int scope_hit_group(
    const struct scope_hit *hit, char **out_dn, struct err *err) ERR_WUR;
/* Reads these objects whole; fn gets those that belong. The others, and those
 * that do not exist, are not given. */
int scope_read_ids(struct scope *scope, const struct id *ids, size_t count,
    const char *const *attributes, scope_fn *fn, void *arg,
    struct err *err) ERR_WUR;

/* The same without asking whether they belong; fn's hit is NULL. */
int scope_read_any(struct scope *scope, const struct id *ids, size_t count,
    const char *const *attributes, scope_fn *fn, void *arg,
    struct err *err) ERR_WUR;
/* Does it lie in a subtree that an entry of `from` leaves out? */
bool scope_excludes(const struct scope *scope, const char *dn);

/* The key of a note on a long text: what, and the first 16 bytes of the text's
 * SHA-256. At most 63 characters with its NUL. */
void scope_note_key(const char *what, const char *text, char *out, size_t size);
/* "OU OU=Staff,DC=north,DC=example", "search sales*": for people; and what
 * stands for it, and for nothing that finds otherwise, as a note's key (at most
 * 63 characters with its NUL). */
const char *scope_text(const struct export_base *base, char *text, size_t size);
void scope_key(
    const struct export_base *base, const char *what, char *text, size_t size);

#endif
