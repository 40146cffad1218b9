#include "common/wire/crypto.h"

#include <errno.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/base/mem.h"

#define CRYPTO_DOMAIN_LEN 32

/*
 * The one place where authentication can be bypassed: fuzz targets are built
 * with -DFUZZING, so that mutated bytes reach the parsers behind signatures,
 * tags, hashes and commitments. AEADs then only copy. Programs never are.
 */
#ifdef FUZZING
#define CRYPTO_FUZZING true
#else
#define CRYPTO_FUZZING false
#endif

/* Fetched once: an implicit fetch costs as much as hashing 500 bytes. */
static const EVP_MD *sha256_md;
static const EVP_MD *sha512_md;
static EVP_MAC *hmac_mac;
static EVP_MD_CTX *md_ctx; /* for the one-shot functions */
static EVP_CIPHER *ciphers[CRYPTO_CHACHA20_POLY1305 + 1];

static const struct {
	const char *name;
	size_t key_len;
} aead_table[] = {
    [CRYPTO_AES128_GCM] = {"AES-128-GCM", 16},
    [CRYPTO_AES256_GCM] = {"AES-256-GCM", 32},
    [CRYPTO_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", 32},
};

int
crypto_init(struct err *err)
{
	int i;

	if (md_ctx != NULL)
		return 0;
	sha256_md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	sha512_md = EVP_MD_fetch(NULL, "SHA2-512", NULL);
	hmac_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	for (i = CRYPTO_AES128_GCM; i <= CRYPTO_CHACHA20_POLY1305; i++) {
		ciphers[i] = EVP_CIPHER_fetch(NULL, aead_table[i].name, NULL);
		if (ciphers[i] == NULL)
			return err_set(err, ERR_INTERNAL, "OpenSSL has no %s",
			    aead_table[i].name);
	}
	if (sha256_md == NULL || sha512_md == NULL || hmac_mac == NULL)
		return err_set(
		    err, ERR_INTERNAL, "OpenSSL has no SHA-2 or no HMAC");
	md_ctx = EVP_MD_CTX_new();
	if (md_ctx == NULL)
		return err_set(err, ERR_INTERNAL, "OpenSSL: out of memory");
	return 0;
}

static void
crypto_digest(const EVP_MD *md, struct slice s, uint8_t *out)
{
	INVARIANT(md_ctx != NULL); /* crypto_init() comes first */
	INVARIANT(EVP_DigestInit_ex2(md_ctx, md, NULL) == 1 &&
		  EVP_DigestUpdate(md_ctx, s.data, s.len) == 1 &&
		  EVP_DigestFinal_ex(md_ctx, out, NULL) == 1);
}

void
crypto_sha256(struct slice s, uint8_t out[CRYPTO_HASH_LEN])
{
	crypto_digest(sha256_md, s, out);
}

void
crypto_sha512(struct slice s, uint8_t out[64])
{
	crypto_digest(sha512_md, s, out);
}

struct crypto_hash {
	EVP_MD_CTX *ctx;
};

struct crypto_hash *
crypto_hash_new(void)
{
	struct crypto_hash *hash = mem_alloc(sizeof(*hash));

	INVARIANT(sha256_md != NULL);
	hash->ctx = EVP_MD_CTX_new();
	INVARIANT(hash->ctx != NULL &&
		  EVP_DigestInit_ex2(hash->ctx, sha256_md, NULL) == 1);
	return hash;
}

void
crypto_hash_add(struct crypto_hash *hash, struct slice s)
{
	INVARIANT(EVP_DigestUpdate(hash->ctx, s.data, s.len) == 1);
}

void
crypto_hash_final(struct crypto_hash *hash, uint8_t out[CRYPTO_HASH_LEN])
{
	INVARIANT(EVP_DigestFinal_ex(hash->ctx, out, NULL) == 1 &&
		  EVP_DigestInit_ex2(hash->ctx, sha256_md, NULL) == 1);
}

void
crypto_hash_free(struct crypto_hash *hash)
{
	if (hash == NULL)
		return;
	EVP_MD_CTX_free(hash->ctx);
	free(hash);
}

/* HMAC-SHA256 over up to three parts. */
static void
crypto_hmac_parts(struct slice key, const struct slice *parts, size_t n,
    uint8_t out[CRYPTO_HASH_LEN])
{
	/* HMAC pads its key with zeros, so these equal the empty key, which
	 * EVP_MAC_init() would take for "key set before". */
	static const uint8_t zeros[CRYPTO_HASH_LEN];
	char digest[] = "SHA2-256";
	OSSL_PARAM params[2];
	EVP_MAC_CTX *ctx;
	size_t i, len = 0;

	INVARIANT(hmac_mac != NULL);
	if (key.len == 0)
		key = slice_make(zeros, sizeof(zeros));
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	ctx = EVP_MAC_CTX_new(hmac_mac);
	INVARIANT(
	    ctx != NULL && EVP_MAC_init(ctx, key.data, key.len, params) == 1);
	for (i = 0; i < n; i++)
		INVARIANT(
		    EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1);
	INVARIANT(EVP_MAC_final(ctx, out, &len, CRYPTO_HASH_LEN) == 1 &&
		  len == CRYPTO_HASH_LEN);
	EVP_MAC_CTX_free(ctx);
}

void
crypto_hmac_sha256(
    struct slice key, struct slice s, uint8_t out[CRYPTO_HASH_LEN])
{
	crypto_hmac_parts(key, &s, 1, out);
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0 || CRYPTO_FUZZING;
}

int
crypto_random(void *out, size_t len, struct err *err)
{
	uint8_t *p = out;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(err, ERR_INTERNAL,
			    "the operating system gives no random bytes");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void
crypto_cleanse(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}

int
crypto_hkdf_extract(struct slice salt, struct slice ikm,
    uint8_t out_prk[CRYPTO_HASH_LEN], struct err *err)
{
	(void)err;
	crypto_hmac_sha256(salt, ikm, out_prk);
	return 0;
}

int
crypto_hkdf_expand(struct slice prk, struct slice info, void *out,
    size_t out_len, struct err *err)
{
	uint8_t block[CRYPTO_HASH_LEN], counter = 0, *p = out;
	struct slice parts[3];
	size_t n;

	if (out_len > 255 * CRYPTO_HASH_LEN)
		return err_set(
		    err, ERR_INTERNAL, "HKDF cannot give %zu bytes", out_len);
	parts[0] = SLICE_NULL; /* T(0) is empty */
	parts[1] = info;
	parts[2] = slice_make(&counter, 1);
	while (out_len > 0) {
		counter++;
		crypto_hmac_parts(prk, parts, 3, block);
		parts[0] = slice_make(block, sizeof(block));
		n = out_len < sizeof(block) ? out_len : sizeof(block);
		memcpy(p, block, n);
		p += n;
		out_len -= n;
	}
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

/* --- signatures and agreement --- */

static int
crypto_raw_public(int type, const uint8_t private_key[32],
    uint8_t out_public[32], struct err *err)
{
	size_t len = 32;
	EVP_PKEY *key;
	int ok;

	key = EVP_PKEY_new_raw_private_key(type, NULL, private_key, 32);
	ok = key != NULL &&
	     EVP_PKEY_get_raw_public_key(key, out_public, &len) == 1 &&
	     len == 32;
	EVP_PKEY_free(key);
	if (!ok)
		return err_set(
		    err, ERR_INTERNAL, "OpenSSL cannot derive a public key");
	return 0;
}

int
crypto_ed25519_public(
    const uint8_t private_key[32], uint8_t out_public[32], struct err *err)
{
	return crypto_raw_public(
	    EVP_PKEY_ED25519, private_key, out_public, err);
}

int
crypto_ed25519_keypair(
    uint8_t out_private[32], uint8_t out_public[32], struct err *err)
{
	if (crypto_random(out_private, 32, err) < 0)
		return -1;
	return crypto_ed25519_public(out_private, out_public, err);
}

int
crypto_ed25519_sign(const uint8_t private_key[32], struct slice message,
    uint8_t out_sig[CRYPTO_SIG_LEN], struct err *err)
{
	size_t len = CRYPTO_SIG_LEN;
	EVP_PKEY *key;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	key = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, private_key, 32);
	ok = key != NULL && ctx != NULL &&
	     EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	     EVP_DigestSign(ctx, out_sig, &len, message.data, message.len) ==
		 1 &&
	     len == CRYPTO_SIG_LEN;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!ok)
		return err_set(err, ERR_INTERNAL, "OpenSSL cannot sign");
	return 0;
}

int
crypto_ed25519_verify(const uint8_t public_key[32], struct slice message,
    struct slice sig, struct err *err)
{
	EVP_PKEY *key = NULL;
	EVP_MD_CTX *ctx = NULL;
	int ok = 0;

	if (sig.len == CRYPTO_SIG_LEN) {
		ctx = EVP_MD_CTX_new();
		key = EVP_PKEY_new_raw_public_key(
		    EVP_PKEY_ED25519, NULL, public_key, 32);
		ok = key != NULL && ctx != NULL &&
		     EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		     EVP_DigestVerify(ctx, sig.data, sig.len, message.data,
			 message.len) == 1;
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!ok && !CRYPTO_FUZZING)
		return err_set(
		    err, ERR_UNTRUSTED, "the signature does not verify");
	return 0;
}

int
crypto_x25519_public(
    const uint8_t private_key[32], uint8_t out_public[32], struct err *err)
{
	return crypto_raw_public(EVP_PKEY_X25519, private_key, out_public, err);
}

int
crypto_x25519_keypair(
    uint8_t out_private[32], uint8_t out_public[32], struct err *err)
{
	if (crypto_random(out_private, 32, err) < 0)
		return -1;
	return crypto_x25519_public(out_private, out_public, err);
}

int
crypto_x25519(const uint8_t private_key[32], const uint8_t peer_public[32],
    uint8_t out_shared[32], struct err *err)
{
	static const uint8_t zeros[32];
	EVP_PKEY *key, *peer;
	EVP_PKEY_CTX *ctx = NULL;
	size_t len = 32;
	int ok;

	key = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_X25519, NULL, private_key, 32);
	peer =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_public, 32);
	if (key != NULL)
		ctx = EVP_PKEY_CTX_new(key, NULL);
	ok = ctx != NULL && peer != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	     EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
	     EVP_PKEY_derive(ctx, out_shared, &len) == 1 && len == 32 &&
	     CRYPTO_memcmp(out_shared, zeros, 32) != 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(key);
	if (!ok)
		return err_set(err, ERR_UNTRUSTED,
		    "X25519 key agreement failed (low-order point)");
	return 0;
}

/* --- AEAD --- */

static int
crypto_aead_check(
    const struct crypto_aead_key *key, size_t plain_len, struct err *err)
{
	if (key->aead < CRYPTO_AES128_GCM ||
	    key->aead > CRYPTO_CHACHA20_POLY1305)
		return err_set(err, ERR_INTERNAL, "no such AEAD");
	/* Empty texts are where AEAD code goes wrong; we never need one. */
	if (plain_len == 0 || plain_len > INT32_MAX)
		return err_set(
		    err, ERR_INTERNAL, "AEAD text of %zu bytes", plain_len);
	INVARIANT(ciphers[key->aead] != NULL);
	return 0;
}

int
crypto_aead_seal(const struct crypto_aead_key *key, struct slice aad,
    struct slice plain, uint8_t *out, struct err *err)
{
	EVP_CIPHER_CTX *ctx;
	int n = 0, tail = 0, ok;

	if (crypto_aead_check(key, plain.len, err) < 0)
		return -1;
	if (CRYPTO_FUZZING) {
		memcpy(out, plain.data, plain.len);
		memset(out + plain.len, 0, CRYPTO_TAG_LEN);
		return 0;
	}
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx != NULL &&
	     EVP_EncryptInit_ex2(
		 ctx, ciphers[key->aead], key->key, key->nonce, NULL) == 1 &&
	     (aad.len == 0 || EVP_EncryptUpdate(ctx, NULL, &n, aad.data,
				  (int)aad.len) == 1) &&
	     EVP_EncryptUpdate(ctx, out, &n, plain.data, (int)plain.len) == 1 &&
	     (size_t)n == plain.len &&
	     EVP_EncryptFinal_ex(ctx, out + n, &tail) == 1 && tail == 0 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN,
		 out + plain.len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return err_set(err, ERR_INTERNAL, "OpenSSL cannot encrypt");
	return 0;
}

int
crypto_aead_open(const struct crypto_aead_key *key, struct slice aad,
    struct slice cipher, uint8_t *out, struct err *err)
{
	uint8_t tag[CRYPTO_TAG_LEN];
	EVP_CIPHER_CTX *ctx;
	size_t len;
	int n = 0, tail = 0, ok;

	if (cipher.len <= CRYPTO_TAG_LEN)
		return err_set(err, ERR_UNTRUSTED, "ciphertext is too short");
	len = cipher.len - CRYPTO_TAG_LEN;
	if (crypto_aead_check(key, len, err) < 0)
		return -1;
	if (CRYPTO_FUZZING) {
		memcpy(out, cipher.data, len);
		return 0;
	}
	memcpy(tag, cipher.data + len, sizeof(tag));
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx != NULL &&
	     EVP_DecryptInit_ex2(
		 ctx, ciphers[key->aead], key->key, key->nonce, NULL) == 1 &&
	     (aad.len == 0 || EVP_DecryptUpdate(ctx, NULL, &n, aad.data,
				  (int)aad.len) == 1) &&
	     EVP_DecryptUpdate(ctx, out, &n, cipher.data, (int)len) == 1 &&
	     (size_t)n == len &&
	     EVP_CIPHER_CTX_ctrl(
		 ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, tag) == 1 &&
	     EVP_DecryptFinal_ex(ctx, out + n, &tail) == 1 && tail == 0;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok) {
		OPENSSL_cleanse(out, len);
		return err_set(
		    err, ERR_UNTRUSTED, "the ciphertext does not authenticate");
	}
	return 0;
}

int
crypto_gcm_seal(const uint8_t key[32], const uint8_t nonce[12],
    struct slice aad, struct slice plain, uint8_t *out, struct err *err)
{
	struct crypto_aead_key k = {CRYPTO_AES256_GCM, key, nonce};

	return crypto_aead_seal(&k, aad, plain, out, err);
}

int
crypto_gcm_open(const uint8_t key[32], const uint8_t nonce[12],
    struct slice aad, struct slice cipher, uint8_t *out, struct err *err)
{
	struct crypto_aead_key k = {CRYPTO_AES256_GCM, key, nonce};

	return crypto_aead_open(&k, aad, cipher, out, err);
}

/* --- GALR's own constructions --- */

static void
crypto_domain(const char *domain, uint8_t out[CRYPTO_DOMAIN_LEN])
{
	size_t len = strlen(domain);

	INVARIANT(len > 0 && len <= CRYPTO_DOMAIN_LEN);
	memset(out, 0, CRYPTO_DOMAIN_LEN);
	memcpy(out, domain, len);
}

int
crypto_sign(const char *domain, const uint8_t private_key[32],
    struct slice message, uint8_t out_sig[CRYPTO_SIG_LEN], struct err *err)
{
	uint8_t text[CRYPTO_DOMAIN_LEN + 64];

	crypto_domain(domain, text);
	crypto_sha512(message, text + CRYPTO_DOMAIN_LEN);
	return crypto_ed25519_sign(
	    private_key, slice_make(text, sizeof(text)), out_sig, err);
}

int
crypto_verify(const char *domain, const uint8_t public_key[32],
    struct slice message, struct slice sig, struct err *err)
{
	uint8_t text[CRYPTO_DOMAIN_LEN + 64];

	crypto_domain(domain, text);
	crypto_sha512(message, text + CRYPTO_DOMAIN_LEN);
	return crypto_ed25519_verify(
	    public_key, slice_make(text, sizeof(text)), sig, err);
}

void
crypto_key_id(
    const char *algorithm, const uint8_t public_key[32], struct id *out_id)
{
	uint8_t text[CRYPTO_DOMAIN_LEN + 16 + 32] = {0};
	uint8_t digest[CRYPTO_HASH_LEN];
	size_t len = strlen(algorithm);

	INVARIANT(len < 16);
	crypto_domain("galr/1 key id", text);
	memcpy(text + CRYPTO_DOMAIN_LEN, algorithm, len);
	memcpy(text + CRYPTO_DOMAIN_LEN + 16, public_key, 32);
	crypto_sha256(slice_make(text, sizeof(text)), digest);
	memcpy(out_id->bytes, digest, ID_LEN);
}
