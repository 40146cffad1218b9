#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

static const char *const class_names[] = {
    [ERR_NONE] = "none",
    [ERR_TEMPORARY] = "temporary",
    [ERR_BAD_DATA] = "bad-data",
    [ERR_UNTRUSTED] = "untrusted",
    [ERR_CONFIG] = "config",
    [ERR_LIMIT] = "limit",
    [ERR_IO] = "io",
    [ERR_INTERNAL] = "internal",
};
_Static_assert(sizeof(class_names) / sizeof(class_names[0]) == ERR_CLASS_COUNT,
    "every class has a name");

/* Appends text to message at *len; control bytes become \xNN, and a sequence
 * that does not fit whole is left out. */
static void
message_append(char *message, size_t *len, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		char piece[5] = {(char)c, '\0'};
		size_t n = 1;

		if (c < 0x20 || c == 0x7f) {
			(void)snprintf(piece, sizeof(piece), "\\x%02x", c);
			n = 4;
		}
		if (*len + n > ERR_MESSAGE_MAX - 1)
			break;
		memcpy(message + *len, piece, n);
		*len += n;
	}
	message[*len] = '\0';
}

static void
err_fill(struct err *err, enum err_class class, int saved_errno, int code,
    const char *text)
{
	size_t len = 0;

	err->class = class;
	err->saved_errno = saved_errno;
	err->code = code;
	message_append(err->message, &len, text);
	if (saved_errno != 0) {
		message_append(err->message, &len, ": ");
		message_append(err->message, &len, strerror(saved_errno));
	}
}

int
err_set(struct err *err, enum err_class class, const char *format, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	err_fill(err, class, 0, 0, text);
	return -1;
}

int
err_set_errno(struct err *err, enum err_class class, const char *format, ...)
{
	int saved = errno;
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	err_fill(err, class, saved, 0, text);
	errno = saved;
	return -1;
}

int
err_set_code(
    struct err *err, enum err_class class, int code, const char *format, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	err_fill(err, class, 0, code, text);
	return -1;
}

int
err_prepend(struct err *err, const char *format, ...)
{
	char text[ERR_MESSAGE_MAX];
	char old[ERR_MESSAGE_MAX];
	size_t len = 0;
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	memcpy(old, err->message, sizeof(old));
	message_append(err->message, &len, text);
	message_append(err->message, &len, ": ");
	message_append(err->message, &len, old);
	return -1;
}

void
err_clear(struct err *err)
{
	if (err == NULL)
		return;
	err->class = ERR_NONE;
	err->saved_errno = 0;
	err->code = 0;
	err->message[0] = '\0';
}

const char *err_class_name(enum err_class class)
{
	if ((unsigned int)class >= ERR_CLASS_COUNT)
		return "unknown";
	return class_names[class];
}

enum err_exit
err_exit_code(const struct err *err)
{
	switch (err->class) {
	case ERR_NONE:
		return EXIT_DONE;
	case ERR_LIMIT:
		return EXIT_HELD;
	case ERR_TEMPORARY:
	case ERR_BAD_DATA:
	case ERR_UNTRUSTED:
	case ERR_CONFIG:
	case ERR_IO:
	case ERR_INTERNAL:
	case ERR_CLASS_COUNT:
		break;
	}
	return EXIT_FAILED;
}

void
err_abort(const char *file, int line, const char *text)
{
	(void)fprintf(
	    stderr, "%s:%d: broken invariant: %s\n", file, line, text);
	abort();
}
