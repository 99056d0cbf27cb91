#include "textflag.h"

// func LoadFence()
TEXT ·LoadFence(SB), NOSPLIT|NOFRAME, $0-0
	DMB $0x9 // ISHLD: loads before it, then loads and stores behind it
	RET
