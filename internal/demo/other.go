//go:build !(linux && (amd64 || arm64))

package demo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func run(context.Context, Options) error {
	return fmt.Errorf("demo: shared memory on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}

func role() bool { return false }
