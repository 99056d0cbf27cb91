//go:build !linux

package cli

import "runtime"

func thisMachine() *machine { return &machine{platform: runtime.GOOS + "/" + runtime.GOARCH} }
