#ifndef NUMBER_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef double number;
static_assert(sizeof(number) == 8, "size of number");

#define NUMBER_FINGERPRINT UINT64_C(0xac11f9084160414e)
#define NUMBER_SCHEMA \
	"shoal schema 1\n" \
	"float64\n"

#endif
