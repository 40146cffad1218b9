/* The front: it has the CURVE key and the spool, nothing else of the realm. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include "common/base/log.h"
#include "common/carrier/carrier.h"
#include "hub/hub.h"
#include "hub/serve.h"

/* No new rights, no core file that would hold the key. */
static void
front_confine(void)
{
	struct rlimit none = {0, 0};

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

int
front_main(void *arg)
{
	const struct hub_conf *conf = arg;
	char *keys = hub_path(conf, "keys");
	char *members = hub_path(conf, "front/members");
	char *status = hub_path(conf, "front/status.json");
	char *root = hub_path(conf, "spool");
	struct carrier_zmq_hub_options options = {.endpoint = conf->listen,
	    .members_path = members,
	    .status_path = status};
	struct key_pair curve;
	struct err err = {0};
	int rc = -1;

	log_prefix("part=front");
	front_confine();
	memset(&curve, 0, sizeof(curve));
	if (crypto_init(&err) < 0 || keys_load_curve(keys, &curve, &err) < 0 ||
	    spool_open(root, conf->spool_quota, &options.spool, &err) < 0)
		goto out;
	options.curve_public = curve.public_key;
	options.curve_secret = curve.private_key;
	rc = carrier_zmq_hub_run(&options, -1, &err);
out:
	if (rc < 0)
		log_err(&err, "front ended");
	if (options.spool != NULL)
		spool_close(options.spool);
	crypto_cleanse(&curve, sizeof(curve));
	free(keys);
	free(members);
	free(status);
	free(root);
	return rc < 0 ? (int)err_exit_code(&err) : EXIT_DONE;
}
