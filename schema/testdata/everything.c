// Writes one message of the type in everything.h to standard output, or checks the one on standard input.
#include "everything.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct everything e;
	memset(&e, 0, sizeof e);
	if (argc > 1 && strcmp(argv[1], "write") == 0) {
		e.B = true;
		e.I8 = INT8_MIN;
		e.I16 = INT16_MIN;
		e.I32 = INT32_MIN;
		e.I64 = INT64_MIN;
		e.U8 = UINT8_MAX;
		e.U16 = UINT16_MAX;
		e.U32 = UINT32_MAX;
		e.U64 = UINT64_MAX;
		e.F32 = 0.1f;
		e.F64 = 0.1;
		((float *)&e.C64)[0] = 1.5f;
		((float *)&e.C64)[1] = -2;
		((double *)&e.C128)[0] = 3;
		((double *)&e.C128)[1] = 1e300;
		e.Temp = -0.25f;
		memcpy(e.Text, "hello", sizeof e.Text);
		memcpy(e.words[0], "abc", 3);
		memcpy(e.words[1], "d", 2);
		for (int i = 0; i < 6; i++)
			e.Raw[i / 3][i % 3] = (uint8_t)(i + 1);
		e.Flags[0] = e.Flags[2] = true;
		e.Bid.Price = 101.5;
		e.Bid.Size = 7;
		e.Ask = e.Bid;
		e.Grid[1][0].X = 2;
		e.Grid[1][0].Y = -2;
		e.Level.Size = 9;
		e.last = 200;
		return fwrite(&e, sizeof e, 1, stdout) != 1;
	}
	if (fread(&e, sizeof e, 1, stdin) != 1)
		return 1;
	if (!e.B || e.I8 != INT8_MIN || e.I16 != INT16_MIN || e.I32 != INT32_MIN || e.I64 != INT64_MIN)
		return 2;
	if (e.U8 != UINT8_MAX || e.U16 != UINT16_MAX || e.U32 != UINT32_MAX || e.U64 != UINT64_MAX)
		return 3;
	if (e.F32 != 0.1f || e.F64 != 0.1 || ((float *)&e.C64)[1] != -2 || ((double *)&e.C128)[1] != 1e300 || e.Temp != -0.25f)
		return 4;
	if (memcmp(e.Text, "hello", 5) != 0 || memcmp(e.words[0], "abc", 3) != 0 || strcmp(e.words[1], "d") != 0)
		return 5;
	if (e.Raw[1][2] != 6 || !e.Flags[0] || e.Flags[1] || !e.Flags[2] || e.Bid.Price != 101.5 || e.Ask.Size != 7)
		return 6;
	if (e.Grid[1][0].Y != -2 || e.Level.Size != 9 || e.last != 200)
		return 7;
	return 0;
}
