#ifndef AWKWARD_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct awkward_true_A_B {
	uint8_t X;
};
static_assert(sizeof(struct awkward_true_A_B) == 1, "size of struct awkward_true_A_B");
static_assert(alignof(struct awkward_true_A_B) == 1, "alignment of struct awkward_true_A_B");
static_assert(offsetof(struct awkward_true_A_B, X) == 0, "offset of X in struct awkward_true_A_B");

struct awkward_true {
	struct awkward_true_A_B A_B;
};
static_assert(sizeof(struct awkward_true) == 1, "size of struct awkward_true");
static_assert(alignof(struct awkward_true) == 1, "alignment of struct awkward_true");
static_assert(offsetof(struct awkward_true, A_B) == 0, "offset of A_B in struct awkward_true");

struct awkward_A_B_C {
	uint16_t Y;
};
static_assert(sizeof(struct awkward_A_B_C) == 2, "size of struct awkward_A_B_C");
static_assert(alignof(struct awkward_A_B_C) == 2, "alignment of struct awkward_A_B_C");
static_assert(offsetof(struct awkward_A_B_C, Y) == 0, "offset of Y in struct awkward_A_B_C");

struct awkward_A {
	struct awkward_A_B_C B_C;
};
static_assert(sizeof(struct awkward_A) == 2, "size of struct awkward_A");
static_assert(alignof(struct awkward_A) == 2, "alignment of struct awkward_A");
static_assert(offsetof(struct awkward_A, B_C) == 0, "offset of B_C in struct awkward_A");

struct awkward_A_B_C_ {
	int8_t Z;
};
static_assert(sizeof(struct awkward_A_B_C_) == 1, "size of struct awkward_A_B_C_");
static_assert(alignof(struct awkward_A_B_C_) == 1, "alignment of struct awkward_A_B_C_");
static_assert(offsetof(struct awkward_A_B_C_, Z) == 0, "offset of Z in struct awkward_A_B_C_");

struct awkward_A_B {
	struct awkward_A_B_C_ C;
};
static_assert(sizeof(struct awkward_A_B) == 1, "size of struct awkward_A_B");
static_assert(alignof(struct awkward_A_B) == 1, "alignment of struct awkward_A_B");
static_assert(offsetof(struct awkward_A_B, C) == 0, "offset of C in struct awkward_A_B");

struct awkward_Close {
	int32_t v;
};
static_assert(sizeof(struct awkward_Close) == 4, "size of struct awkward_Close");
static_assert(alignof(struct awkward_Close) == 4, "alignment of struct awkward_Close");
static_assert(offsetof(struct awkward_Close, v) == 0, "offset of v in struct awkward_Close");

struct awkward {
	alignas(8) uint8_t double__;
	uint8_t double_;
	uint8_t _padding2[2];
	uint16_t _padding4;
	struct awkward_true true_[2];
	struct awkward_A A;
	struct awkward_A_B A_B;
	uint8_t _padding11[5];
	struct awkward_Close Close;
	uint8_t _padding20[4];
};
static_assert(sizeof(struct awkward) == 24, "size of struct awkward");
static_assert(alignof(struct awkward) == 8, "alignment of struct awkward");
static_assert(offsetof(struct awkward, double__) == 0, "offset of double__ in struct awkward");
static_assert(offsetof(struct awkward, double_) == 1, "offset of double_ in struct awkward");
static_assert(offsetof(struct awkward, _padding4) == 4, "offset of _padding4 in struct awkward");
static_assert(offsetof(struct awkward, true_) == 6, "offset of true_ in struct awkward");
static_assert(offsetof(struct awkward, A) == 8, "offset of A in struct awkward");
static_assert(offsetof(struct awkward, A_B) == 10, "offset of A_B in struct awkward");
static_assert(offsetof(struct awkward, Close) == 16, "offset of Close in struct awkward");

#define AWKWARD_FINGERPRINT UINT64_C(0x3a5c2f5da38e01de)
#define AWKWARD_SCHEMA \
	"shoal schema 1\n" \
	"struct size 24 align 8 {\n" \
	"\t0 double uint8\n" \
	"\t1 double_ uint8\n" \
	"\t4 _padding4 uint16\n" \
	"\t6 true [2]struct size 1 align 1 {\n" \
	"\t\t0 A_B struct size 1 align 1 {\n" \
	"\t\t\t0 X uint8\n" \
	"\t\t}\n" \
	"\t}\n" \
	"\t8 A struct size 2 align 2 {\n" \
	"\t\t0 B_C struct size 2 align 2 {\n" \
	"\t\t\t0 Y uint16\n" \
	"\t\t}\n" \
	"\t}\n" \
	"\t10 A_B struct size 1 align 1 {\n" \
	"\t\t0 C struct size 1 align 1 {\n" \
	"\t\t\t0 Z int8\n" \
	"\t\t}\n" \
	"\t}\n" \
	"\t16 Close struct size 4 align 4 {\n" \
	"\t\t0 v int32\n" \
	"\t}\n" \
	"}\n"

#endif
