package inspect

import (
	"time"

	"golang.org/x/sys/unix"
)

func timeOf(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }
