#ifndef LEVELS_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct levels_element {
	double Price;
	uint32_t Size;
	uint8_t _padding12[4];
};
static_assert(sizeof(struct levels_element) == 16, "size of struct levels_element");
static_assert(alignof(struct levels_element) == 8, "alignment of struct levels_element");
static_assert(offsetof(struct levels_element, Price) == 0, "offset of Price in struct levels_element");
static_assert(offsetof(struct levels_element, Size) == 8, "offset of Size in struct levels_element");

typedef struct levels_element levels[3];
static_assert(sizeof(levels) == 48, "size of levels");

#define LEVELS_FINGERPRINT UINT64_C(0x3c5bf697ae282f94)
#define LEVELS_SCHEMA \
	"shoal schema 1\n" \
	"[3]struct size 16 align 8 {\n" \
	"\t0 Price float64\n" \
	"\t8 Size uint32\n" \
	"}\n"

#endif
