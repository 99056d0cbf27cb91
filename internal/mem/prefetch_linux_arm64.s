#include "textflag.h"

// func prefetch(w *Uint64)
TEXT ·prefetch(SB), NOSPLIT|NOFRAME, $0-8
	MOVD w+0(FP), R0
	PRFM (R0), PSTL1KEEP
	PRFM 64(R0), PSTL1KEEP
	RET
