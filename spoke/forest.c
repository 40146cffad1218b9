#include "spoke/forest.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"

struct forest {
	const struct spoke_conf *conf;
	struct session *session;
	struct dialect *dialect;
	struct forest_context *contexts;
	size_t count;
};

static void
contexts_take(struct forest *forest)
{
	size_t count;
	const char *const *names = dialect_contexts(forest->dialect, &count);

	forest->contexts = mem_calloc(count, sizeof(*forest->contexts));
	for (size_t i = 0; i < count; i++)
		forest->contexts[i] = (struct forest_context){
		    names[i], forest->session, forest->dialect};
	forest->count = count;
}

int
forest_open(
    const struct spoke_conf *conf, struct forest **out_forest, struct err *err)
{
	const struct spoke_directory *d = &conf->directory;
	struct forest *forest = mem_calloc(1, sizeof(*forest));

	*out_forest = NULL;
	forest->conf = conf;
	if (spoke_conf_session_open(conf, &forest->session, err) < 0 ||
	    dialect_open(forest->session, d->dialect, d->provenance,
		&forest->dialect, err) < 0) {
		forest_close(forest);
		return -1;
	}
	contexts_take(forest);
	*out_forest = forest;
	return 0;
}

void
forest_close(struct forest *forest)
{
	if (forest == NULL)
		return;
	dialect_close(forest->dialect);
	session_close(forest->session);
	free(forest->contexts);
	free(forest);
}

size_t
forest_count(const struct forest *forest)
{
	return forest->count;
}

const char *
forest_dn(const struct forest *forest, size_t index)
{
	return forest->contexts[index].dn;
}

size_t
forest_find(const struct forest *forest, const char *dn)
{
	size_t found = FOREST_NONE;

	for (size_t i = 0; i < forest->count; i++) {
		const char *context = forest->contexts[i].dn;

		/* Of two that hold it one lies below the other. */
		if (dn_is_below(dn, context, true) &&
		    (found == FOREST_NONE ||
			dn_is_below(
			    context, forest->contexts[found].dn, false)))
			found = i;
	}
	return found;
}

int
forest_context(struct forest *forest, size_t index,
    const struct forest_context **out_context, struct err *err)
{
	(void)err;
	*out_context = &forest->contexts[index];
	return 0;
}

int
forest_catalogue(struct forest *forest,
    const struct forest_context **out_context, struct err *err)
{
	(void)forest, (void)err;
	*out_context = NULL;
	return 0;
}
