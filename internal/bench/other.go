//go:build !(linux && (amd64 || arm64))

package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func run(context.Context, Options, []Scenario) (*Report, error) {
	return nil, fmt.Errorf("bench: shared memory on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}

func role() {}
