/* Bytes that must not outlive their use: own type, cleansed on free, never in
 * an arena, a log or an error message. */
#ifndef COMMON_BASE_SECRET_H
#define COMMON_BASE_SECRET_H

#include "common/base/err.h"
#include "common/base/slice.h"

#define SECRET_MAX 4096

struct secret {
	uint8_t *data; /* NUL behind the end, not counted */
	size_t len;
};

/* Copies s. */
void secret_set(struct secret *secret, struct slice s);
/* Fills with len random bytes from the operating system's generator. */
int secret_random(struct secret *secret, size_t len, struct err *err) ERR_WUR;
/* Reads a file of at most SECRET_MAX bytes; a trailing newline is dropped.
 * Class config when others than the owner can read or write it (the message
 * says chmod 600), when it is empty or too long; io otherwise. */
int secret_read(
    struct secret *out_secret, const char *path, struct err *err) ERR_WUR;
/* Cleanses and frees; {NULL, 0} afterwards. */
void secret_free(struct secret *secret);
static inline struct slice
secret_slice(const struct secret *secret)
{
	return slice_make(secret->data, secret->len);
}

#endif
