/*
 * The primitives of GALR 1 on OpenSSL's EVP, and nothing else: SHA-2, HMAC,
 * HKDF (RFC 5869), Ed25519 (RFC 8032), X25519 (RFC 7748), AES-256-GCM
 * (SP 800-38D) and HPKE base mode (RFC 9180). All algorithms are fetched once
 * by crypto_init().
 */
#ifndef COMMON_WIRE_CRYPTO_H
#define COMMON_WIRE_CRYPTO_H

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/secret.h"

#define CRYPTO_HASH_LEN 32
#define CRYPTO_KEY_LEN 32
#define CRYPTO_SIG_LEN 64
#define CRYPTO_TAG_LEN 16
#define CRYPTO_NONCE_LEN 12
#define CRYPTO_WRAPPED_LEN (CRYPTO_KEY_LEN + CRYPTO_TAG_LEN)

/* Fetches the algorithms; call once in each process before any other, after
 * the last fork that should not inherit OpenSSL. Idempotent. */
int crypto_init(struct err *err) ERR_WUR;

void crypto_sha256(struct slice s, uint8_t out[CRYPTO_HASH_LEN]);
void crypto_sha512(struct slice s, uint8_t out[64]);

/* Incremental SHA-256. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_add(struct crypto_hash *hash, struct slice s);
/* Gives the digest and starts anew. */
void crypto_hash_final(struct crypto_hash *hash, uint8_t out[CRYPTO_HASH_LEN]);
void crypto_hash_free(struct crypto_hash *hash);

void crypto_hmac_sha256(
    struct slice key, struct slice s, uint8_t out[CRYPTO_HASH_LEN]);
/* Constant time. */
bool crypto_equal(const void *a, const void *b, size_t len);
/* Bytes from the operating system; class internal when it has none. */
int crypto_random(void *out, size_t len, struct err *err) ERR_WUR;
void crypto_cleanse(void *p, size_t len);

/* RFC 5869. Extract: prk[32] from salt and key material. Expand: out_len at
 * most 255 * 32. */
int crypto_hkdf_extract(struct slice salt, struct slice ikm,
    uint8_t out_prk[CRYPTO_HASH_LEN], struct err *err) ERR_WUR;
int crypto_hkdf_expand(struct slice prk, struct slice info, void *out,
    size_t out_len, struct err *err) ERR_WUR;

/* Raw 32-byte keys. */
int crypto_ed25519_keypair(
    uint8_t out_private[32], uint8_t out_public[32], struct err *err) ERR_WUR;
int crypto_ed25519_public(const uint8_t private_key[32], uint8_t out_public[32],
    struct err *err) ERR_WUR;
int crypto_ed25519_sign(const uint8_t private_key[32], struct slice message,
    uint8_t out_sig[CRYPTO_SIG_LEN], struct err *err) ERR_WUR;
/* -1 with class untrusted when the signature does not verify. */
int crypto_ed25519_verify(const uint8_t public_key[32], struct slice message,
    struct slice sig, struct err *err) ERR_WUR;

int crypto_x25519_keypair(
    uint8_t out_private[32], uint8_t out_public[32], struct err *err) ERR_WUR;
int crypto_x25519_public(const uint8_t private_key[32], uint8_t out_public[32],
    struct err *err) ERR_WUR;
/* All-zero results (low-order points) fail with class untrusted. */
int crypto_x25519(const uint8_t private_key[32], const uint8_t peer_public[32],
    uint8_t out_shared[32], struct err *err) ERR_WUR;

/* AEADs by their numbers in HPKE's registry (RFC 9180 section 7.3). */
enum crypto_aead {
	CRYPTO_AES128_GCM = 1,
	CRYPTO_AES256_GCM = 2,
	CRYPTO_CHACHA20_POLY1305 = 3
};
struct crypto_aead_key {
	enum crypto_aead aead;
	const uint8_t *key;   /* 16 bytes for AES-128, else 32 */
	const uint8_t *nonce; /* 12 bytes, never twice under one key */
};
/* As crypto_gcm_seal() and crypto_gcm_open(), for any of the AEADs. */
int crypto_aead_seal(const struct crypto_aead_key *key, struct slice aad,
    struct slice plain, uint8_t *out, struct err *err) ERR_WUR;
int crypto_aead_open(const struct crypto_aead_key *key, struct slice aad,
    struct slice cipher, uint8_t *out, struct err *err) ERR_WUR;

/* AES-256-GCM with its tag behind the ciphertext. plain must not be empty.
 * out must hold plain.len + 16 bytes (seal) or cipher.len - 16 (open). On a
 * failed open out is cleansed and the class is untrusted. */
int crypto_gcm_seal(const uint8_t key[32], const uint8_t nonce[12],
    struct slice aad, struct slice plain, uint8_t *out,
    struct err *err) ERR_WUR;
int crypto_gcm_open(const uint8_t key[32], const uint8_t nonce[12],
    struct slice aad, struct slice cipher, uint8_t *out,
    struct err *err) ERR_WUR;

/* GALR's signature: Ed25519 over a 32-byte domain (text, zero padded) followed
 * by SHA-512 of the message. domain is at most 32 characters. */
int crypto_sign(const char *domain, const uint8_t private_key[32],
    struct slice message, uint8_t out_sig[CRYPTO_SIG_LEN],
    struct err *err) ERR_WUR;
int crypto_verify(const char *domain, const uint8_t public_key[32],
    struct slice message, struct slice sig, struct err *err) ERR_WUR;

/* First 16 bytes of SHA-256 over a domain, the algorithm name ("ed25519",
 * "x25519", "curve") and the raw public key. */
void crypto_key_id(
    const char *algorithm, const uint8_t public_key[32], struct id *out_id);

#endif
