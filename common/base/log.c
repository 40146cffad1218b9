#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/buf.h"

#define LOG_LINE_MAX 4096
#define LOG_PREFIX_MAX 256
#define LOG_TEXT_MAX 120
#define LOG_TEXT_COUNT 8

static struct {
	const char *program;
	enum log_level level;
	bool priority; /* each line begins with <N> (sd-daemon(3)) */
	bool person;   /* no key=value: see log_person() */
	char prefix[LOG_PREFIX_MAX];
} state = {.program = "galrelay", .level = LOG_LEVEL_INFO};

/* Is standard error the stream that systemd connected to the journal? The
 * variable alone is inherited by whoever redirects stderr elsewhere, hence
 * the comparison (systemd.exec(5), JOURNAL_STREAM). */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device;
	unsigned long long inode;
	struct stat st;
	char *end;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	device = strtoull(stream, &end, 10);
	if (*end != ':')
		return false;
	inode = strtoull(end + 1, &end, 10);
	return *end == '\0' && device == (unsigned long long)st.st_dev &&
	       inode == (unsigned long long)st.st_ino;
}

void
log_init(const char *program, enum log_level level)
{
	state.program = program;
	state.level = level;
	state.priority = stderr_is_journal();
	state.person = false;
	state.prefix[0] = '\0';
}

void
log_person(void)
{
	state.person = !state.priority;
}

void
log_prefix(const char *format, ...)
{
	va_list ap;

	state.prefix[0] = '\0';
	if (format == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(state.prefix, sizeof(state.prefix), format, ap);
	va_end(ap);
}

/* One write(2) a line, so that the lines of several processes do not mix. */
static void
log_line(enum log_level level, const char *text)
{
	char line[LOG_LINE_MAX];
	const char *name = level == LOG_LEVEL_ERROR  ? "error: "
			   : level == LOG_LEVEL_WARN ? "warning: "
						     : "";
	size_t start;
	size_t len;
	int n;

	if (state.priority)
		n = snprintf(line, sizeof(line) - 1, "<%d>", (int)level);
	else
		n = snprintf(line, sizeof(line) - 1, "%s: ", state.program);
	start = (size_t)n;
	/* A person knows what was asked for, and takes what stands behind a
	 * command that is to be typed for a part of it. */
	n = snprintf(line + start, sizeof(line) - 1 - start, "%s%s%s%s",
	    state.priority ? "" : name, text,
	    state.person || state.prefix[0] == '\0' ? "" : " ",
	    state.person ? "" : state.prefix);
	len = start + (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		continue;
}

void
log_at(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char text[LOG_LINE_MAX];
	va_list ap;

	if (level > state.level)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_line(level, text);
	errno = saved;
}

void
log_err(const struct err *err, const char *format, ...)
{
	char what[LOG_LINE_MAX];
	struct buf quoted;
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (state.person) {
		log_at(LOG_LEVEL_ERROR, "%s: %s", what, err->message);
		return;
	}
	/* At worst \u00NN for every byte, and two quotes. */
	buf_init(&quoted, 6 * ERR_MESSAGE_MAX + 2);
	buf_add_json(&quoted, slice_str(err->message));
	log_at(LOG_LEVEL_ERROR, "%s class=%s error=%s", what,
	    err_class_name(err->class), buf_cstr(&quoted));
	buf_fini(&quoted);
}

const char *
log_text(struct slice s)
{
	static char texts[LOG_TEXT_COUNT][LOG_TEXT_MAX + 8];
	static unsigned int next;
	char *text = texts[next++ % LOG_TEXT_COUNT];
	size_t len = 0;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
		size_t need = plain ? 1 : c == '"' || c == '\\' ? 2 : 4;

		if (len + need > LOG_TEXT_MAX) {
			memcpy(text + len, "...", 3);
			len += 3;
			break;
		}
		if (plain)
			text[len] = (char)c;
		else if (need == 2)
			(void)snprintf(text + len, 3, "\\%c", c);
		else
			(void)snprintf(text + len, 5, "\\x%02x", c);
		len += need;
	}
	text[len] = '\0';
	return text;
}
