/*
 * Errors: every function that can fail returns 0 or -1 and fills a struct err.
 * The class alone decides what happens next (retry, quarantine, alarm, exit);
 * see err_exit_code(). A function returns an error or logs it, never both.
 */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#define ERR_MESSAGE_MAX 768

enum err_class {
	ERR_NONE = 0,
	ERR_TEMPORARY, /* a retry may succeed: network, lock, peer busy */
	ERR_BAD_DATA,  /* foreign bytes or values that do not parse or fit */
	ERR_UNTRUSTED, /* a signature, key, member or address is not trusted */
	ERR_CONFIG,    /* a person must change configuration or rights */
	ERR_LIMIT,     /* a cap, quota or guard was reached */
	ERR_IO,        /* disk, file system, local database */
	ERR_INTERNAL,  /* a promise between our own parts was broken */
	ERR_CLASS_COUNT
};

struct err {
	enum err_class class;
	int saved_errno;
	int code; /* module-specific, e.g. enum envelope_check; 0 when unused */
	char message[ERR_MESSAGE_MAX];
};

/* Documented exit codes of both programs. */
enum err_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_HELD = 3,
	EXIT_PARTLY = 4
};

#define ERR_WUR __attribute__((warn_unused_result))
#define ERR_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Fills err (which may be NULL) and returns -1. The message is cut at
 * ERR_MESSAGE_MAX - 1 bytes; control bytes in it are escaped as \xNN. */
int err_set(struct err *err, enum err_class class, const char *format, ...)
    ERR_PRINTF(3, 4);

/* As err_set(), keeps errno in saved_errno and appends ": strerror". */
int err_set_errno(struct err *err, enum err_class class, const char *format,
    ...) ERR_PRINTF(3, 4);

/* As err_set() with a module-specific code. */
int err_set_code(struct err *err, enum err_class class, int code,
    const char *format, ...) ERR_PRINTF(4, 5);

/* Puts "text: " before the message of an error that is set; returns -1. */
int err_prepend(struct err *err, const char *format, ...) ERR_PRINTF(2, 3);

/* Forgets an error. err may be NULL. */
void err_clear(struct err *err);

/* The class as a lower-case word, e.g. "untrusted". Static storage. */
const char *err_class_name(enum err_class class);

/* The exit code that a program ends with on this error. */
enum err_exit err_exit_code(const struct err *err);

/* Prints file, line and text to stderr and aborts: a broken invariant. */
_Noreturn void err_abort(const char *file, int line, const char *text);

#define INVARIANT(cond)                                                        \
	do {                                                                   \
		if (!(cond))                                                   \
			err_abort(__FILE__, __LINE__, #cond);                  \
	} while (0)

#endif
