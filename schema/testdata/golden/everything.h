#ifndef EVERYTHING_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct everything_Bid {
	double Price;
	uint32_t Size;
	uint8_t _padding12[4];
};
static_assert(sizeof(struct everything_Bid) == 16, "size of struct everything_Bid");
static_assert(alignof(struct everything_Bid) == 8, "alignment of struct everything_Bid");
static_assert(offsetof(struct everything_Bid, Price) == 0, "offset of Price in struct everything_Bid");
static_assert(offsetof(struct everything_Bid, Size) == 8, "offset of Size in struct everything_Bid");

struct everything_Grid {
	int16_t X;
	int16_t Y;
};
static_assert(sizeof(struct everything_Grid) == 4, "size of struct everything_Grid");
static_assert(alignof(struct everything_Grid) == 2, "alignment of struct everything_Grid");
static_assert(offsetof(struct everything_Grid, X) == 0, "offset of X in struct everything_Grid");
static_assert(offsetof(struct everything_Grid, Y) == 2, "offset of Y in struct everything_Grid");

struct everything {
	bool B;
	int8_t I8;
	int16_t I16;
	int32_t I32;
	int64_t I64;
	uint8_t U8;
	uint8_t _padding17[1];
	uint16_t U16;
	uint32_t U32;
	uint64_t U64;
	float F32;
	uint8_t _padding36[4];
	double F64;
	float _Complex C64;
	double _Complex C128;
	float Temp;
	char Text[5];
	char words[2][3];
	uint8_t Raw[2][3];
	bool Flags[3];
	struct everything_Bid Bid;
	struct everything_Bid Ask;
	struct everything_Grid Grid[2][1];
	struct everything_Bid Level;
	uint8_t last;
	uint8_t _padding153[7];
};
static_assert(sizeof(struct everything) == 160, "size of struct everything");
static_assert(alignof(struct everything) == 8, "alignment of struct everything");
static_assert(offsetof(struct everything, B) == 0, "offset of B in struct everything");
static_assert(offsetof(struct everything, I8) == 1, "offset of I8 in struct everything");
static_assert(offsetof(struct everything, I16) == 2, "offset of I16 in struct everything");
static_assert(offsetof(struct everything, I32) == 4, "offset of I32 in struct everything");
static_assert(offsetof(struct everything, I64) == 8, "offset of I64 in struct everything");
static_assert(offsetof(struct everything, U8) == 16, "offset of U8 in struct everything");
static_assert(offsetof(struct everything, U16) == 18, "offset of U16 in struct everything");
static_assert(offsetof(struct everything, U32) == 20, "offset of U32 in struct everything");
static_assert(offsetof(struct everything, U64) == 24, "offset of U64 in struct everything");
static_assert(offsetof(struct everything, F32) == 32, "offset of F32 in struct everything");
static_assert(offsetof(struct everything, F64) == 40, "offset of F64 in struct everything");
static_assert(offsetof(struct everything, C64) == 48, "offset of C64 in struct everything");
static_assert(offsetof(struct everything, C128) == 56, "offset of C128 in struct everything");
static_assert(offsetof(struct everything, Temp) == 72, "offset of Temp in struct everything");
static_assert(offsetof(struct everything, Text) == 76, "offset of Text in struct everything");
static_assert(offsetof(struct everything, words) == 81, "offset of words in struct everything");
static_assert(offsetof(struct everything, Raw) == 87, "offset of Raw in struct everything");
static_assert(offsetof(struct everything, Flags) == 93, "offset of Flags in struct everything");
static_assert(offsetof(struct everything, Bid) == 96, "offset of Bid in struct everything");
static_assert(offsetof(struct everything, Ask) == 112, "offset of Ask in struct everything");
static_assert(offsetof(struct everything, Grid) == 128, "offset of Grid in struct everything");
static_assert(offsetof(struct everything, Level) == 136, "offset of Level in struct everything");
static_assert(offsetof(struct everything, last) == 152, "offset of last in struct everything");

#define EVERYTHING_FINGERPRINT UINT64_C(0xbd40229e79688764)
#define EVERYTHING_SCHEMA \
	"shoal schema 1\n" \
	"struct size 160 align 8 {\n" \
	"\t0 B bool\n" \
	"\t1 I8 int8\n" \
	"\t2 I16 int16\n" \
	"\t4 I32 int32\n" \
	"\t8 I64 int64\n" \
	"\t16 U8 uint8\n" \
	"\t18 U16 uint16\n" \
	"\t20 U32 uint32\n" \
	"\t24 U64 uint64\n" \
	"\t32 F32 float32\n" \
	"\t40 F64 float64\n" \
	"\t48 C64 complex64\n" \
	"\t56 C128 complex128\n" \
	"\t72 Temp float32\n" \
	"\t76 Text [5]char\n" \
	"\t81 words [2][3]char\n" \
	"\t87 Raw [2][3]uint8\n" \
	"\t93 Flags [3]bool\n" \
	"\t96 Bid struct size 16 align 8 {\n" \
	"\t\t0 Price float64\n" \
	"\t\t8 Size uint32\n" \
	"\t}\n" \
	"\t112 Ask struct size 16 align 8 {\n" \
	"\t\t0 Price float64\n" \
	"\t\t8 Size uint32\n" \
	"\t}\n" \
	"\t128 Grid [2][1]struct size 4 align 2 {\n" \
	"\t\t0 X int16\n" \
	"\t\t2 Y int16\n" \
	"\t}\n" \
	"\t136 Level struct size 16 align 8 {\n" \
	"\t\t0 Price float64\n" \
	"\t\t8 Size uint32\n" \
	"\t}\n" \
	"\t152 last uint8\n" \
	"}\n"

#endif
