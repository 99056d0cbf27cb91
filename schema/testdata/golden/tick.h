#ifndef TICK_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tick_Levels {
	double Price;
	uint32_t Size;
	uint8_t _padding12[4];
};
static_assert(sizeof(struct tick_Levels) == 16, "size of struct tick_Levels");
static_assert(alignof(struct tick_Levels) == 8, "alignment of struct tick_Levels");
static_assert(offsetof(struct tick_Levels, Price) == 0, "offset of Price in struct tick_Levels");
static_assert(offsetof(struct tick_Levels, Size) == 8, "offset of Size in struct tick_Levels");

struct tick {
	int64_t Time;
	uint16_t venue;
	uint8_t _padding10[6];
	char Symbol[8];
	struct tick_Levels Levels[2];
};
static_assert(sizeof(struct tick) == 56, "size of struct tick");
static_assert(alignof(struct tick) == 8, "alignment of struct tick");
static_assert(offsetof(struct tick, Time) == 0, "offset of Time in struct tick");
static_assert(offsetof(struct tick, venue) == 8, "offset of venue in struct tick");
static_assert(offsetof(struct tick, Symbol) == 16, "offset of Symbol in struct tick");
static_assert(offsetof(struct tick, Levels) == 24, "offset of Levels in struct tick");

#define TICK_FINGERPRINT UINT64_C(0xd5f5867228280e30)
#define TICK_SCHEMA \
	"shoal schema 1\n" \
	"struct size 56 align 8 {\n" \
	"\t0 Time int64\n" \
	"\t8 venue uint16\n" \
	"\t16 Symbol [8]char\n" \
	"\t24 Levels [2]struct size 16 align 8 {\n" \
	"\t\t0 Price float64\n" \
	"\t\t8 Size uint32\n" \
	"\t}\n" \
	"}\n"

#endif
