/* Runs a fuzz target over the files given as arguments: the corpora of `make
 * fuzz` are tests of every other build too. Prints how many it ran; a crash or
 * a sanitizer's report is the failure. */
#include <stdint.h>
#include "common/base/fsio.h"

#define INPUT_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		struct err err;
		struct buf buf;

		buf_init(&buf, INPUT_MAX);
		if (fsio_read(argv[i], &buf, &err) != 0) {
			(void)fprintf(stderr, "%s\n", err.message);
			return EXIT_FAILED;
		}
		(void)LLVMFuzzerTestOneInput(
		    (const uint8_t *)buf_cstr(&buf), buf.len);
		buf_fini(&buf);
	}
	(void)printf("%s: %d inputs\n", argv[0], argc - 1);
	return argc > 1 ? EXIT_DONE : EXIT_USAGE;
}
