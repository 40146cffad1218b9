/*
 * ZAP (RFC 27): ZeroMQ asks inproc://zeromq.zap.01 about every CURVE client.
 * It fails open unless the server socket has a domain and enforces it; see
 * carrier_zap_guard and carrier_zap_prove.
 */
#ifndef COMMON_CARRIER_ZMQ_ZAP_H
#define COMMON_CARRIER_ZMQ_ZAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

#define CARRIER_ZAP_DOMAIN "galrelay"
#define CARRIER_CURVE_LEN 32
#define CARRIER_CURVE_HEX (2 * CARRIER_CURVE_LEN)

enum carrier_verdict {
	CARRIER_ADMIT,
	CARRIER_LATER, /* temporarily not: the client tries again by itself */
	CARRIER_DENY
};
typedef enum carrier_verdict carrier_verdict_fn(
    void *arg, const uint8_t curve_public[CARRIER_CURVE_LEN]);

/* The handler's REP socket; bound before any server socket binds, and polled
 * in the same loop. NULL with class internal. */
void *carrier_zap_new(void *ctx, struct err *err);
/* Answers the requests that wait. An admitted client's User-Id is its key in
 * hexadecimal. */
void carrier_zap_step(void *zap, carrier_verdict_fn *verdict, void *arg);

/* Makes a server socket ask, and refuse when nobody answers. */
int carrier_zap_guard(void *server, struct err *err) ERR_WUR;

/* Connects with a random key to the bound server socket and demands to be
 * refused by ZAP: class internal when it is let in, or when nothing was
 * proven within three seconds. */
int carrier_zap_prove(void *ctx, void *server, void *zap,
    const uint8_t server_public[CARRIER_CURVE_LEN], carrier_verdict_fn *verdict,
    void *arg, struct err *err) ERR_WUR;

#endif
