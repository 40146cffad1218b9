/* Shared by link.c, link_send.c and link_recv.c only. */
#ifndef COMMON_CARRIER_LINK_INTERNAL_H
#define COMMON_CARRIER_LINK_INTERNAL_H

#include "common/carrier/link.h"

/* A full pipe or an exhausted budget is looked at again after this. */
#define LINK_RETRY_MS 10
/* An offer that nobody answers, and chunks that do not come. */
#define LINK_SILENCE_MS (60 * 1000)
/* A refused message is offered again after this, doubling. */
#define LINK_REFUSED_MIN_MS 500
#define LINK_REFUSED_MAX_MS (60 * 1000)
#define LINK_REFUSED_COUNT 16

enum link_state { LINK_DOWN, LINK_GREETING, LINK_UP };

/* A chunk that the peer asked for. */
struct link_request {
	uint32_t request;
	uint8_t sha256[SPOOL_HASH_LEN];
	uint64_t offset;
	uint32_t length;
};

/* A message that the peer refused. */
struct link_refused {
	char name[SPOOL_NAME_SIZE];
	uint64_t mark;
	int64_t retry_at, wait_ms;
	enum carrier_reason reason;
};

struct link_send {
	bool offered;  /* message and the rest are valid */
	bool announce; /* the offer itself has not left yet */
	bool gone;     /* tell the peer that offer gone_offer is void */
	bool changed;  /* look into the box */
	bool idle_told;
	bool waiting; /* refused messages wait in the box */
	uint32_t offer, gone_offer;
	struct spool_message message;
	uint8_t sha256[SPOOL_HASH_LEN];
	uint8_t small[CARRIER_INLINE_BYTES]; /* a small envelope itself */
	size_t small_len;
	int64_t deadline; /* of the answer */
	int64_t retry_at; /* earliest refused message; 0 none */
	struct link_request queue[CARRIER_CREDITS];
	size_t queued;
	uint32_t sent, received; /* chunks since HELLO; the peer's count */
	int fd;                  /* piece that was read last */
	uint8_t fd_sha256[SPOOL_HASH_LEN];
	struct link_refused refused[LINK_REFUSED_COUNT];
	size_t refused_count;
};

/* A chunk that we asked for. */
struct link_asked {
	uint32_t request;
	size_t piece;
	uint64_t offset;
	uint32_t length;
};

struct link_recv {
	bool active; /* message and the rest are valid */
	bool peer_idle;
	uint32_t offer;
	struct spool_message message;
	uint8_t sha256[SPOOL_HASH_LEN];
	bool *have;       /* blobs that were in the box at the start */
	size_t ask_piece; /* blob_count is the envelope */
	bool ask_open;
	uint64_t ask_offset;
	size_t piece; /* being written */
	int fd;
	uint64_t done;                            /* bytes of it */
	struct link_asked asked[CARRIER_CREDITS]; /* ring, oldest first */
	size_t asked_first, asked_count;
	uint32_t next_request, received;
	int64_t deadline;
	unsigned restarts;
	int64_t log_at; /* no line about a refusal before */
	/* Answers that have not left yet. */
	bool tell_done, tell_refused, tell_taken;
	uint32_t tell_offer;
	enum carrier_reason tell_reason;
};

struct carrier_link {
	struct carrier_link_options options;
	enum link_state state;
	uint32_t epoch; /* of HELLO */
	bool tell_hello;
	struct link_send send;
	struct link_recv recv;
	struct carrier_frames frames;
	uint8_t *chunk; /* CARRIER_CHUNK_BYTES */
	struct carrier_counters counters;
};

enum carrier_sent link_transmit(
    struct carrier_link *link, const struct carrier_message *message);
bool link_budget_take(struct carrier_link *link, uint64_t bytes, bool first);
void link_budget_give(struct carrier_link *link, uint64_t bytes);

void link_send_reset(struct carrier_link *link);
void link_send_fini(struct carrier_link *link);
int link_send_fetch(struct carrier_link *link, const struct carrier_message *m,
    int64_t now, struct err *err) ERR_WUR;
int link_send_taken(struct carrier_link *link, const struct carrier_message *m,
    struct err *err) ERR_WUR;
void link_send_done(struct carrier_link *link, const struct carrier_message *m);
void link_send_refused(
    struct carrier_link *link, const struct carrier_message *m, int64_t now);
enum carrier_sent link_send_pump(struct carrier_link *link, int64_t now);

void link_recv_reset(struct carrier_link *link);
void link_recv_offer(
    struct carrier_link *link, const struct carrier_message *m, int64_t now);
int link_recv_data(struct carrier_link *link, const struct carrier_message *m,
    int64_t now, struct err *err) ERR_WUR;
void link_recv_gone(struct carrier_link *link, const struct carrier_message *m);
enum carrier_sent link_recv_pump(struct carrier_link *link, int64_t now);

#endif
