#include "spoke/export/stages.h"

#include <time.h>

#define STAGES_TRIALS 1000

static const char *const stage_names[] = {
    [STAGE_REST] = "rest",
    [STAGE_RECEIVE] = "receive",
    [STAGE_READ] = "read",
    [STAGE_SHAPE] = "shape",
    [STAGE_ENCODE] = "encode",
    [STAGE_STORE] = "store",
    [STAGE_SECTION] = "section",
    [STAGE_SEAL] = "seal",
};
_Static_assert(sizeof(stage_names) / sizeof(stage_names[0]) == STAGE_COUNT,
    "every stage has its name");

bool stages_on;

static struct {
	enum stage now;
	int64_t since; /* ns of CPU time */
	int64_t spent[STAGE_COUNT];
	uint64_t switches[STAGE_COUNT];
	int64_t cost; /* of a switch, in ns */
} stages;

static int64_t
cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
stages_start(void)
{
	int64_t begin = cpu_ns();

	for (int i = 0; i < STAGES_TRIALS; i++)
		(void)cpu_ns();
	stages.cost = (cpu_ns() - begin) / STAGES_TRIALS;
	stages.spent[STAGE_REST] = begin;
	stages.since = cpu_ns();
	stages.now = STAGE_REST;
	stages_on = true;
}

enum stage
stages_change(enum stage stage)
{
	enum stage before = stages.now;
	int64_t now = cpu_ns();

	stages.spent[before] += now - stages.since;
	stages.switches[before]++;
	stages.since = now;
	stages.now = stage;
	return before;
}

/* Microseconds without those that the clock itself took. */
static double
stage_us(enum stage stage)
{
	int64_t ns =
	    stages.spent[stage] - (int64_t)stages.switches[stage] * stages.cost;

	return ns > 0 ? (double)ns / 1000 : 0;
}

void
stages_format(uint64_t entries, struct buf *text, struct buf *json)
{
	double part = entries > 0 ? (double)entries : 1000, sum = 0;

	if (!stages_on)
		return;
	(void)stages_change(stages.now);
	for (int i = 0; i < STAGE_COUNT; i++)
		sum += stage_us(i);
	buf_addf(text, "; CPU %.1f %s: ", sum / part,
	    entries > 0 ? "us an entry" : "ms");
	buf_add_str(json, ",\"cpu_us\":{");
	for (int i = 0; i < STAGE_COUNT; i++) {
		buf_addf(text, "%s%s %.1f", i == 0 ? "" : ", ", stage_names[i],
		    stage_us(i) / part);
		buf_addf(json, "%s\"%s\":%.0f", i == 0 ? "" : ",",
		    stage_names[i], stage_us(i));
	}
	buf_addf(json, "},\"entries\":%llu", (unsigned long long)entries);
}
