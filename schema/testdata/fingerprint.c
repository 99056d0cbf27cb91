// Prints whether the fingerprint in a header is that of the text in it. Compiled with HEADER, SCHEMA and FINGERPRINT.
#include HEADER

#include <inttypes.h>
#include <stdio.h>

int main(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (const char *p = SCHEMA; *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	if (h == 0)
		h = 1;
	if (h != FINGERPRINT)
		return 1;
	printf("%016" PRIx64 "\n%s", h, SCHEMA);
	return 0;
}
