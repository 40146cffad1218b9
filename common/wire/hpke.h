/*
 * HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256. The AEAD
 * is a parameter, so that the RFC's own vectors run through the code that the
 * suite AES-256-GCM uses.
 */
#ifndef COMMON_WIRE_HPKE_H
#define COMMON_WIRE_HPKE_H

#include "common/wire/crypto.h"

struct hpke_context {
	enum crypto_aead aead;
	uint8_t key[32];
	uint8_t base_nonce[12];
	uint8_t exporter_secret[32];
	uint64_t sequence;
};

/* Sender: makes a fresh ephemeral key (or uses ephemeral[32], for vectors, when
 * it is not NULL) and gives enc[32] and a context. */
int hpke_setup_sender(enum crypto_aead aead, const uint8_t recipient_public[32],
    struct slice info, const uint8_t *ephemeral,
    struct hpke_context *out_context, uint8_t out_enc[32],
    struct err *err) ERR_WUR;
int hpke_setup_receiver(enum crypto_aead aead, const uint8_t private_key[32],
    const uint8_t enc[32], struct slice info, struct hpke_context *out_context,
    struct err *err) ERR_WUR;
/* RFC 9180 section 5.2; the nonce counts. out holds plain.len + 16. */
int hpke_seal(struct hpke_context *context, struct slice aad,
    struct slice plain, uint8_t *out, struct err *err) ERR_WUR;
int hpke_open(struct hpke_context *context, struct slice aad,
    struct slice cipher, uint8_t *out, struct err *err) ERR_WUR;
/* RFC 9180 section 5.3. */
int hpke_export(const struct hpke_context *context, struct slice label,
    void *out, size_t out_len, struct err *err) ERR_WUR;
void hpke_cleanse(struct hpke_context *context);

#endif
