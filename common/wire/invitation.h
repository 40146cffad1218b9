/*
 * Invitations: what `galhub invite` prints and `galspoke join` takes, one line
 * without blanks. PROTOCOL.md "Enrolment".
 *
 *   "galr1:" base64url( 0x01 | realm[16] | hub sign, decrypt, curve[32 each] |
 *       invitation id[16] | secret[32] | u64be expiry (Unix ms) |
 *       u8 length, name | u8 length, address | first 4 bytes of the SHA-256
 *       of all before )
 */
#ifndef COMMON_WIRE_INVITATION_H
#define COMMON_WIRE_INVITATION_H

#include "common/wire/crypto.h"
#include "common/wire/keys.h"
#include "common/wire/wire.pb-c.h"

#define INVITATION_PREFIX "galr1:"
#define INVITATION_ADDRESS_MAX 255
/* Longer texts are refused before they are decoded. */
#define INVITATION_TEXT_MAX 1024
/* "join-" and 32 hexadecimal digits: the spool peer of a newcomer. */
#define INVITATION_PEER_SIZE 40

struct invitation {
	struct id realm;
	uint8_t hub_sign[32], hub_decrypt[32], hub_curve[32];
	struct id id;
	uint8_t secret[32]; /* cleanse the struct after use */
	int64_t expires_at; /* Unix ms */
	char name[64];
	char address[INVITATION_ADDRESS_MAX + 1];
};

/* Appends the text. Class config when name or address does not fit. */
int invitation_encode(const struct invitation *invitation, struct buf *out,
    struct err *err) ERR_WUR;
/* Class bad data, saying that the line is damaged or cut; the expiry is not
 * judged here. Blanks around the text are allowed. */
int invitation_decode(struct slice text, struct invitation *out_invitation,
    struct err *err) ERR_WUR;

/* The one-time CURVE key pair: HKDF-SHA256 over the secret, salt = invitation
 * id, info "galr/1 join curve". Both sides can compute it; the front at the hub
 * needs only the public part. */
int invitation_curve(const struct invitation *invitation,
    struct key_pair *out_curve, struct err *err) ERR_WUR;
/* The Ed25519 key that signs a JOIN envelope: the hub cannot know the
 * newcomer's own key before it opened the request, but it knows the secret.
 * Info "galr/1 join sign". The newcomer's keys are bound by the mac inside. */
int invitation_sign(const struct invitation *invitation,
    struct key_pair *out_sign, struct err *err) ERR_WUR;
/* HMAC-SHA256 that a JoinRequest carries: key by HKDF, info "galr/1 join mac",
 * over realm, the hub's three public keys, and the request packed with an
 * empty mac. */
int invitation_mac(const struct invitation *invitation,
    const Galr__JoinRequest *request, uint8_t out_mac[CRYPTO_HASH_LEN],
    struct err *err) ERR_WUR;
/* "join-HEX". Returns text, which holds INVITATION_PEER_SIZE bytes. */
char *invitation_peer(const struct id *id, char *text);

#endif
