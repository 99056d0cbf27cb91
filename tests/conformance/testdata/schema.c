/* schema says how large a type is ("size"), makes ("make") or opens ("open") the object "object" for values of a type
 * that "shoal schema --c" has printed: tick.h, beside it in the include path. */
#include <stdio.h>
#include <string.h>

#include "shoal.h"
#include "tick.h"

/* Says how large the type is whose text it reads. */
static int say_size(void)
{
	static char text[SHOAL_SCHEMA_MAX];
	size_t n = fread(text, 1, sizeof text, stdin);
	uint64_t size = shoal_schema_size_(text, n);

	if (size == UINT64_MAX)
		printf("no size\n");
	else
		printf("%llu\n", (unsigned long long)size);
	return 0;
}

int main(int argc, char **argv)
{
	struct shoal_spec spec;
	struct shoal o;
	struct tick *ticks;
	int err;

	if (argc > 1 && strcmp(argv[1], "size") == 0)
		return say_size();
	memset(&spec, 0, sizeof spec);
	spec.kind = SHOAL_KIND_RING;
	spec.size = 4 * sizeof(struct tick);
	spec.schema = TICK_SCHEMA;
	if (shoal_fingerprint(TICK_SCHEMA, strlen(TICK_SCHEMA)) != TICK_FINGERPRINT)
		printf("another fingerprint\n");
	err = argc > 1 && strcmp(argv[1], "make") == 0 ? shoal_create(&o, "object", &spec) : shoal_open(&o, "object", &spec);
	if (err < 0) {
		printf("%s: %s\n", shoal_strerror(err), shoal_why(&o));
		return 0;
	}
	ticks = (struct tick *)shoal_body(&o);
	if (ticks[1].time == 0)
		ticks[1].time = 1234;
	printf("time %lld, %llu bytes\n", (long long)ticks[1].time, (unsigned long long)shoal_body_size(&o));
	shoal_close(&o);
	return 0;
}
