#ifndef MATRIX_SCHEMA

#include <assert.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef float matrix[3][4];
static_assert(sizeof(matrix) == 48, "size of matrix");

#define MATRIX_FINGERPRINT UINT64_C(0x5153b508edde2052)
#define MATRIX_SCHEMA \
	"shoal schema 1\n" \
	"[3][4]float32\n"

#endif
