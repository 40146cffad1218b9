/* What a name server sends about SRV records. */
#include <stdlib.h>
#include <string.h>

#include "common/ldap/locate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint32_t
draw(void *arg, uint32_t sum)
{
	(void)arg;
	return sum / 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct locate_hosts hosts;
	struct err err;
	struct buf uri;

	if (locate_parse(slice_make(data, len), &hosts, &err) != 0)
		return 0;
	INVARIANT(hosts.count <= LOCATE_HOSTS_MAX);
	locate_order(&hosts, draw, NULL);
	buf_init(&uri, LOCATE_NAME_SIZE + 64);
	for (size_t i = 0; i < hosts.count; i++) {
		buf_reset(&uri);
		locate_uri_add(&hosts.list[i], i % 2 == 0, &uri);
		INVARIANT(!buf_failed(&uri));
		INVARIANT(strpbrk(hosts.list[i].name, "/@:?#[]%") == NULL);
		INVARIANT(i == 0 ||
			  hosts.list[i - 1].priority <= hosts.list[i].priority);
	}
	buf_fini(&uri);
	return 0;
}
