//go:build !linux

package cli

import (
	"os"
	"syscall"
)

func processUser(int, userNames) string { return "" }

func diesWithUs() *syscall.SysProcAttr { return nil }

var passedOn = []os.Signal{os.Interrupt}

func foreground() bool { return true }
