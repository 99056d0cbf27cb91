package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// interruption is the signal that has ended a verb.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return fmt.Sprintf("ended by %v", i.signal) }

// code is the exit code, as a shell says it.
func (i interruption) code() Code {
	number, _ := i.signal.(syscall.Signal)
	return 128 + Code(number)
}

// interruptible is a context that ends with the first signal that asks for it; the
// second one ends the process. An output whose reader has gone is an error from now on,
// and no signal: what we take part in is left in order.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-ends:
			signal.Stop(ends)
			cancel(interruption{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		signal.Stop(ends)
		signal.Stop(pipe)
	}
}

// ended says why a context has: an interruption, errTimeout; nil if it has not.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// errTimeout: --timeout is over.
var errTimeout = fmt.Errorf("it has taken too long: %w", os.ErrDeadlineExceeded)

// causeOf is why a wait has ended with its context, if that is what err says.
func causeOf(ctx context.Context, err error) error {
	switch cause := ended(ctx); {
	case cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return cause
	case errors.Is(err, context.DeadlineExceeded): // some waits know it before the context does
		return errTimeout
	}
	return err
}

// limited is a context that ends after a time; 0 is for ever.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, errTimeout)
}

// pause waits, but not longer than the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// outcome is how a verb ends that goes on until it is told to end, or has done what was
// asked for. complete says that nothing more was asked for.
func outcome(ctx context.Context, err error, complete bool) error {
	err = causeOf(ctx, err)
	var i interruption
	switch {
	case errors.As(err, &i) && complete, errors.Is(err, errTimeout) && complete:
		return nil
	case errors.As(err, &i):
		return reported{i.code()}
	case errors.Is(err, errTimeout):
		return reported{WouldBlock}
	}
	return err
}
