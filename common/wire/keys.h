/*
 * The private keys of one installation, a directory of 0600 files: signing
 * keys (active, next), decryption keys (active, previous) and the CURVE key of
 * the live link. The front process gets the CURVE key only.
 */
#ifndef COMMON_WIRE_KEYS_H
#define COMMON_WIRE_KEYS_H

#include "common/wire/crypto.h"

struct key_pair {
	bool present;
	struct id id; /* crypto_key_id() of the public key */
	uint8_t private_key[32];
	uint8_t public_key[32];
	uint8_t
	    endorsement[CRYPTO_SIG_LEN]; /* by the predecessor; signing keys */
	struct id predecessor;
	bool endorsed;
};

struct keys {
	struct key_pair sign_active, sign_next;
	struct key_pair decrypt_active, decrypt_previous;
	struct key_pair curve;
};

/* Makes all keys anew in dir (created 0700). Class config when some exist. */
int keys_create(const char *dir, struct err *err) ERR_WUR;
/* Loads what keys_create wrote. keys_free cleanses. Class config when a file
 * is missing, malformed or readable by others. */
int keys_load(const char *dir, struct keys *out_keys, struct err *err) ERR_WUR;
/* Only the CURVE pair: for the front process. */
int keys_load_curve(
    const char *dir, struct key_pair *out_curve, struct err *err) ERR_WUR;
void keys_cleanse(struct keys *keys);

/* Rotation, in two steps so that no message is lost: keys_rotate_begin makes
 * sign_next endorsed by sign_active (over realm and member name) and a new
 * decryption key (the old one becomes previous); keys_rotate_finish makes next
 * active once the registry lists it. Durable. */
int keys_rotate_begin(const char *dir, struct keys *keys,
    const struct id *realm, const char *member, struct err *err) ERR_WUR;
int keys_rotate_finish(
    const char *dir, struct keys *keys, struct err *err) ERR_WUR;

/* The statement by which a signing key names its successor: signature of the
 * old key, domain "galr/1 key change", over realm, u8 length and member name
 * ("" for the hub), old and new public key. */
struct keys_change {
	const struct id *realm;
	const char *member;
	const uint8_t *old_public; /* 32 bytes each */
	const uint8_t *new_public;
};
int keys_change_sign(const struct keys_change *change,
    const uint8_t old_private[32], uint8_t out_sig[CRYPTO_SIG_LEN],
    struct err *err) ERR_WUR;
/* Class untrusted when it does not verify. */
int keys_change_verify(const struct keys_change *change,
    const uint8_t sig[CRYPTO_SIG_LEN], struct err *err) ERR_WUR;

/* "3f2a 91c0 ...": the fingerprint that people compare, SHA-256 over the
 * active public keys (sign, decrypt, curve), 20 bytes as hex groups. text
 * holds KEYS_FINGERPRINT_SIZE bytes. */
#define KEYS_FINGERPRINT_SIZE 52
char *keys_fingerprint(const uint8_t sign_public[32],
    const uint8_t decrypt_public[32], const uint8_t curve_public[32],
    char *text);

#endif
