/*
 * Worker processes with deadlines. A worker is forked without exec; when its
 * deadline passes it gets SIGTERM, two seconds later SIGKILL. It is reported,
 * never waited for without bound.
 */
#ifndef COMMON_BASE_PROCESS_H
#define COMMON_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/base/err.h"

/* Runs in the child; its return value is the exit code (enum err_exit). */
typedef int process_main_fn(void *arg);

struct process {
	const char *name; /* borrowed; for messages */
	pid_t pid;        /* 0 when none runs */
	int64_t deadline; /* clock_mono_ms(); 0 is none */
	bool term_sent;
	int64_t kill_at;
};

enum process_end {
	PROCESS_RUNNING,
	PROCESS_EXITED,
	PROCESS_CRASHED,
	PROCESS_TIMED_OUT
};

/* What a program that holds private keys does first, and again after it changed
 * its user: files are its own (umask 077), no core file, and no other process
 * of the user reads its memory (PR_SET_DUMPABLE; left alone under the
 * sanitizers, whose leak check traces itself). */
void process_harden(void);

/* Forks. The child dies with its parent (PR_SET_PDEATHSIG), has default
 * signal handlers but ignores SIGPIPE, and sets its name (PR_SET_NAME).
 * deadline_ms 0: none. */
int process_start(struct process *p, const char *name, process_main_fn *fn,
    void *arg, int64_t deadline_ms, struct err *err) ERR_WUR;

/* Reaps without waiting, and enforces the deadline. out_status: the exit code
 * or the signal number. After any end but running, p->pid is 0. */
enum process_end process_step(struct process *p, int *out_status);

/* Waits for the end, enforcing the deadline. */
enum process_end process_wait(struct process *p, int *out_status);

/* SIGTERM, then SIGKILL after grace_ms; reaps. No-op when none runs. */
void process_stop(struct process *p, int64_t grace_ms);

/* Runs argv (execvp, NULL-terminated) with an empty stdin and appends its
 * stdout to output, until deadline_ms (0: none). out_status is the exit code,
 * 127 when argv[0] cannot be run. Too much output is class limit; a timeout or
 * a death by signal is class temporary. */
struct buf;
int process_run(const char *const argv[], struct buf *output,
    int64_t deadline_ms, int *out_status, struct err *err) ERR_WUR;

#endif
