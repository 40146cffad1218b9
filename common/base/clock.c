#include "common/base/clock.h"

static int64_t
clock_read(clockid_t id)
{
	struct timespec ts = {0, 0};

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND_MS + ts.tv_nsec / 1000000;
}

int64_t
clock_now_ms(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t
clock_mono_ms(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

char *
clock_format(int64_t unix_ms, char *text)
{
	/* Rounds down before 1970 too. */
	int64_t second =
	    unix_ms / CLOCK_SECOND_MS - (unix_ms % CLOCK_SECOND_MS < 0 ? 1 : 0);
	time_t t = (time_t)second;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 ||
	    tm.tm_year > 9999 - 1900) {
		(void)snprintf(
		    text, CLOCK_TEXT_SIZE, "%lld ms", (long long)unix_ms);
		return text;
	}
	(void)snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
	return text;
}

char *
clock_format_age(int64_t age_ms, char *text)
{
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = {
	    {CLOCK_DAY_MS, "d"},
	    {CLOCK_HOUR_MS, "h"},
	    {CLOCK_MINUTE_MS, "min"},
	    {CLOCK_SECOND_MS, "s"},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		/* From two units on, so that 119 min is not "1 h". */
		int64_t least = i == 3 ? units[i].ms : 2 * units[i].ms;

		if (age_ms >= least) {
			(void)snprintf(text, CLOCK_TEXT_SIZE, "%lld %s",
			    (long long)(age_ms / units[i].ms), units[i].unit);
			return text;
		}
	}
	(void)snprintf(text, CLOCK_TEXT_SIZE, "0 s");
	return text;
}
