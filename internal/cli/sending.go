package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/schema"
)

// sending is what pub and send have in common: standard input in records, to something
// that takes them.
type sending struct {
	asLines bool
	size    positiveSize
	create  bool
	mode    mode
	typ     string // file with the text of a schema
	rate    decimal
	quiet   bool
}

// sink takes records: a publisher or a queue.
type sink interface {
	SendBatch(ctx context.Context, records [][]byte) (int, error)
}

func (s *sending) flags(cmd *cobra.Command, object string) {
	s.mode = mode(0o600)
	f := cmd.Flags()
	f.BoolVar(&s.asLines, "lines", false, "a record is a line, without its newline")
	f.Var(&s.size, "size", "a record is so many `bytes`")
	f.Var(&s.rate, "rate", "at most so many a second: 10, 20k, 1M")
	f.BoolVar(&s.create, "create", false, "make the "+object+" if it is not there")
	f.StringVar(&s.typ, "type", "", "new: type of the records, a `file` of shoal schema")
	f.Var(&s.mode, "mode", "new: permissions, in `octal`")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no summary")
	cmd.MarkFlagsMutuallyExclusive("lines", "size")
	noCompletion(cmd, "size", "rate", "mode")
}

// check refuses what makes no sense together: flags for a new object without --create.
func (s *sending) check(cmd *cobra.Command, flags ...string) error {
	for _, f := range append(flags, "type", "mode") {
		if cmd.Flags().Changed(f) && !s.create {
			return usageError{fmt.Errorf("--%s is for a new one: add --create", f)}
		}
	}
	return nil
}

// schemaFile reads a type from the file that --type names; without one it is nil.
func (s *sending) schemaFile() (*schema.Schema, error) {
	if s.typ == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.typ)
	if err != nil {
		return nil, err
	}
	typ, err := schema.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.typ, err)
	}
	return typ, nil
}

// jsonRoom is how long a JSON value may be beyond what its message may have.
const jsonRoom = 1 << 20

// form says how input is cut and encoded: as it was asked for, or as the type has it.
func (s *sending) form(name string, typ *schema.Schema, most int, asJSON bool) (cut framing, encode encoding, longest int, err error) {
	typed := !typ.Untyped()
	n := int(s.size.size)
	switch {
	case asJSON && (s.asLines || n > 0):
		return nil, nil, 0, usageError{errors.New("--json goes with neither --lines nor --size")}
	case asJSON && typed, typed && !s.asLines && n == 0:
		return values, fromJSON(typ), jsonRoom + 64*typ.Size(), nil
	case typed && s.asLines:
		return nil, nil, 0, usageError{fmt.Errorf("%s has records of a type, see shoal schema %s: send them as JSON, or their bytes with --size %d", name, name, typ.Size())}
	case typed && n != typ.Size():
		return nil, nil, 0, usageError{fmt.Errorf("%s has records of %d bytes, not of %d", name, typ.Size(), n)}
	case asJSON:
		return values, anyJSON, most, nil
	case n > most:
		return nil, nil, 0, usageError{fmt.Errorf("%s has records of at most %d bytes, not of %d", name, most, n)}
	case n > 0:
		return pieces(n, typed), nil, n, nil
	}
	return lines, nil, most, nil
}

// stream sends all of standard input, and says how much that was.
func (c *command) stream(ctx context.Context, s *sending, name string, typ *schema.Schema, most int, to sink) error {
	cut, encode, longest, err := s.form(name, typ, most, c.json)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var sent tally
	in := take(ctx, c.stdin, cut, longest)
	pace := pace{rate: float64(s.rate)}
	for err == nil {
		if err = ended(ctx); err != nil {
			break
		}
		var b inputBatch
		select {
		case b = <-in.batches:
		case <-ctx.Done():
			err = context.Cause(ctx)
			continue
		}
		err = s.sendBatch(ctx, b.records, encode, to, &pace, &sent)
		if err == nil {
			err = b.err
		}
		in.free <- b.room
	}
	if err == io.EOF {
		err = nil
	}
	if !s.quiet {
		c.say("sent %v", &sent)
	}
	return err
}

// sendBatch sends what was there at once, at its pace.
func (s *sending) sendBatch(ctx context.Context, records [][]byte, encode encoding, to sink, pace *pace, sent *tally) error {
	var bad error
	if encode != nil {
		var n int
		n, bad = encode(records)
		records = records[:n]
	}
	for len(records) > 0 {
		if err := ended(ctx); err != nil {
			return err
		}
		n, err := pace.due(ctx, len(records))
		if err != nil {
			return err
		}
		if sent.records == 0 {
			sent.began = time.Now()
		}
		done, err := to.SendBatch(ctx, records[:n])
		for _, r := range records[:done] {
			sent.add(len(r))
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			return sent.next(err)
		}
		records = records[n:]
	}
	return sent.next(bad)
}

// next has an error say that it is about the record of the input that was to be next.
func (t *tally) next(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record %d of the input: %w", t.records+1, err)
}

// pace lets so many records through a second; all, if the rate is 0.
type pace struct {
	rate  float64
	began time.Time
	sent  float64
}

// due waits until a record is due, and returns how many are, of n.
func (p *pace) due(ctx context.Context, n int) (int, error) {
	if p.rate == 0 {
		return n, nil
	}
	if p.began.IsZero() {
		p.began = time.Now()
	}
	for {
		due := time.Since(p.began).Seconds()*p.rate + 1 - p.sent
		if due >= 1 {
			got := min(n, int(due))
			p.sent += float64(got)
			return got, nil
		}
		// Not sooner than what is worth it: what is due then goes together.
		wait := max(time.Duration((1-due)/p.rate*float64(time.Second)), 500*time.Microsecond)
		if err := pause(ctx, wait); err != nil {
			return 0, err
		}
	}
}
