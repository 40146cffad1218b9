/* Shared by forest.c (contexts and sessions), forest_find.c (which contexts
 * there are) and forest_reach.c (which servers are behind). */
#ifndef SPOKE_FOREST_INTERNAL_H
#define SPOKE_FOREST_INTERNAL_H

#include "common/base/buf.h"
#include "spoke/controller.h"
#include "spoke/forest.h"

#define FOREST_MARK_MAX 8192 /* of one server */
#define FOREST_REACH_MAX (256 * 1024)

struct forest_server {
	struct controller where;
	char *setting, *domain, *uri; /* owned texts that where points at */
	char *context; /* stands for it in marks; "": the catalogue */
	struct session *session;
	struct session *aside; /* to the same; NULL: nobody needed it */
	struct dialect *dialect;
	struct buf mark;   /* when it was connected */
	struct buf behind; /* in what the one before it; empty: in nothing */
};

struct forest_place {
	char *dn;
	struct forest_server *server;
	struct forest_context context;
};

struct forest {
	const struct spoke_conf *conf;
	struct forest_server **servers; /* the first is always connected */
	size_t server_count;
	struct forest_place *places;
	size_t place_count;
	struct forest_server *catalogue; /* one of servers; NULL */
	struct forest_context catalogue_context;
	char *root_domain;   /* DNS name of the forest; NULL: no AD */
	size_t domain_count; /* of Active Directory */
	bool first_is_catalogue;
	struct buf reach; /* forest_expect() */
};

/* Takes over context. */
struct forest_server *forest_server_add(
    struct forest *forest, const struct controller *where, char *context);
/* Connects unless it is connected, and takes the mark. */
int forest_server_open(struct forest *forest, struct forest_server *server,
    struct err *err) ERR_WUR;

/* Compares a server that is connected with what is expected of it. */
int forest_server_judge(struct forest *forest, struct forest_server *server,
    struct err *err) ERR_WUR;

/* Fills places from what the first server says and the configuration. */
int forest_places_find(struct forest *forest, struct err *err) ERR_WUR;
/* Appends the DNs of all contexts, for messages. */
void forest_places_text(const struct forest *forest, struct buf *out);

#endif
