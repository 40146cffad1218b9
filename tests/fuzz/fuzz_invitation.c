/* An invitation as somebody pasted it. What decodes encodes to itself. */
#include "common/wire/invitation.h"
#include "common/wire/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct invitation one, two;
	struct buf text;

	INVARIANT(crypto_init(NULL) == 0);
	if (invitation_decode(slice_make(data, len), &one, NULL) < 0)
		return 0;
	INVARIANT(registry_name_valid(one.name));
	buf_init(&text, INVITATION_TEXT_MAX);
	INVARIANT(invitation_encode(&one, &text, NULL) == 0);
	INVARIANT(invitation_decode(buf_slice(&text), &two, NULL) == 0);
	INVARIANT(memcmp(one.secret, two.secret, sizeof(one.secret)) == 0);
	INVARIANT(strcmp(one.address, two.address) == 0);
	buf_fini(&text);
	return 0;
}
