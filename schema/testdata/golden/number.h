#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef double number;
_Static_assert(sizeof(number) == 8, "size of number");

#define NUMBER_FINGERPRINT UINT64_C(0xac11f9084160414e)
#define NUMBER_SCHEMA \
	"shoal schema 1\n" \
	"float64\n"
