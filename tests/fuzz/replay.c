/*
 * Runs a fuzz target over files and directories of them, without libFuzzer:
 * the corpora in the tree become tests of any build.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
file_replay(const char *path)
{
	uint8_t *data = NULL;
	struct stat info;
	size_t got = 0;
	FILE *in;
	int rc = -1;

	in = fopen(path, "rb");
	if (in == NULL || fstat(fileno(in), &info) != 0)
		goto out;
	/* Exactly as large as the input, so that any overread is seen. */
	data = malloc(info.st_size > 0 ? (size_t)info.st_size : 1);
	if (data == NULL)
		goto out;
	got = fread(data, 1, (size_t)info.st_size, in);
	if (got != (size_t)info.st_size)
		goto out;
	LLVMFuzzerTestOneInput(data, got);
	rc = 0;
out:
	if (rc != 0)
		perror(path);
	free(data);
	if (in != NULL)
		(void)fclose(in);
	return rc;
}

static int
directory_replay(const char *path, size_t *count)
{
	struct dirent *item;
	char name[4096];
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL) {
		perror(path);
		return -1;
	}
	while ((item = readdir(dir)) != NULL) {
		if (item->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, item->d_name);
		if (file_replay(name) != 0)
			rc = -1;
		(*count)++;
	}
	(void)closedir(dir);
	return rc;
}

int
main(int argc, char **argv)
{
	size_t count = 0;
	int rc = 0;
	int i;

	for (i = 1; i < argc; i++)
		if (directory_replay(argv[i], &count) != 0)
			rc = 1;
	(void)printf("%zu inputs\n", count);
	return count == 0 ? 1 : rc;
}
