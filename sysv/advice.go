package sysv

import "strconv"

// plural is "1 value", "2 values".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// An objectID is the id of an object of any kind.
type objectID interface{ ShmID | SemID | MsgID }
