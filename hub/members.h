/*
 * The registry of the realm at its root: who is a member, with which keys and
 * mail domains. Each change is a new registry under a higher version, signed,
 * stored, told to every member and to the front.
 */
#ifndef HUB_MEMBERS_H
#define HUB_MEMBERS_H

#include "hub/hub.h"

/* Makes state, keys and an empty registry. Class config when there is a hub
 * already. */
int members_init(const struct hub_conf *conf, struct err *err) ERR_WUR;

/* "a.example,*.b.example" to a checked, lower-case, comma-separated list in
 * out. Class config naming the bad one. */
int members_domains_parse(
    const char *text, struct buf *out, struct err *err) ERR_WUR;

/* Makes a one-time invitation and lets its key in at the front; out gets the
 * line. Class config when the name is taken or invalid. */
int members_invite(struct hub *hub, const char *name, const char *domains,
    int64_t lifetime_ms, struct buf *out_text, struct err *err) ERR_WUR;

/* A JOIN envelope from a newcomer's box. Adds the member and answers with a
 * WELCOME; a retry with the same keys is answered again, one with others is
 * refused and alarmed. -1 with a check's code: the message is refused; class io
 * or temporary: to be tried again. */
int members_join(struct hub *hub, const char *peer, struct slice envelope,
    struct err *err) ERR_WUR;
/* The member spoke for itself: its invitation is done, the newcomer's box and
 * key go. */
int members_joined(struct hub *hub, const char *name, struct err *err) ERR_WUR;

/* Revokes a member for ever, its keys too, or withdraws an invitation. */
int members_revoke(struct hub *hub, const char *name, struct err *err) ERR_WUR;
/* Replaces the mail domains of a member. */
int members_allot(struct hub *hub, const char *name, const char *domains,
    struct err *err) ERR_WUR;
/* The hub's own statement that a stream is over. */
int members_end(struct hub *hub, const char *name, const char *stream,
    struct err *err) ERR_WUR;

/* A registry that a member holds and that is newer than ours (a restored hub):
 * taken when it verifies under our own key, merged with what we revoked, issued
 * again above it. */
int members_registry_take(struct hub *hub, const char *from,
    struct slice signed_bytes, struct err *err) ERR_WUR;
/* Keys that a member announces: each new signing key must be endorsed by one
 * that the registry lists. */
int members_keys_take(struct hub *hub, const char *name,
    Galr__PublicKey *const *keys, size_t key_count, struct err *err) ERR_WUR;

/* Does another member list this key, or the hub? Whoever took the CURVE key of
 * another would be who that other one is at the front. */
bool members_key_taken(
    const struct registry *registry, const char *name, const struct id *id);

/* Writes STATE/front/members from registry and invitations. */
int members_front_write(struct hub *hub, struct err *err) ERR_WUR;
/* Drops invitations that expired; with their boxes. */
int members_invites_expire(struct hub *hub, struct err *err) ERR_WUR;

/* --- editing (registry_edit.c) --- */
/* The present registry as a message to change; all of it on the heap (mem_*,
 * mem_strdup), freed by members_edit_free. */
int members_edit_begin(
    struct hub *hub, Galr__Registry **out_message, struct err *err) ERR_WUR;
/* Signs it under version max(last + 1, now), stores it, marks every target and
 * commits; writes front/members. The message stays the caller's. */
int members_edit_commit(
    struct hub *hub, Galr__Registry *message, struct err *err) ERR_WUR;
void members_edit_free(Galr__Registry *message);
/* The member of that name, or NULL. */
Galr__Member *members_edit_find(Galr__Registry *message, const char *name);
/* Adds an empty member, in order of names. */
Galr__Member *members_edit_add(Galr__Registry *message, const char *name);
void members_edit_keys(
    Galr__Member *member, Galr__PublicKey *const *keys, size_t count);
void members_edit_domains(Galr__Member *member, const char *comma_separated);
/* Puts a key id into revoked_keys unless it is there. */
void members_edit_revoke_key(Galr__Registry *message, const struct id *id);
/* Key id of a listed key; false for an odd one. */
bool members_key_id(const Galr__PublicKey *key, struct id *out_id);

#endif
