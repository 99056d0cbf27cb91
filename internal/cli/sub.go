package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/topic"
)

// subscribing is one shoal sub.
type subscribing struct {
	printing
	from     string
	count    uint64
	reliable bool
	name     string
	wait     bool
	forget   bool
	timeout  time.Duration

	counted bool // --count was given
	start   topic.From
	got     tally
	missed  uint64
	untold  uint64    // of missed
	told    time.Time // when that was last said
}

func (c *command) subCommand() *cobra.Command {
	var s subscribing
	cmd := &cobra.Command{
		Use:   "sub TOPIC [--from oldest|now] [--count N] [--json|--hex|--raw] [FLAGS]",
		Short: "Print the records of a topic as they come",
		Long: `Records of a type are printed as JSON, which takes nothing but the topic itself:
it describes its type. Records without one are printed as lines.

It only looks: it is no member, no publisher waits for it, nobody can tell that
it is there. What it misses for that reason it says on standard error. With
--reliable publishers wait for it, or do what else the topic's policy is.

With --name N it is reliable, and its subscription goes on when it ends, or is
killed: publishers wait, and who comes by that name gets all that has not been
printed. A record counts as printed when it has been written to the output; the
last one before a kill may come again. --forget ends that subscription.

It goes on until it has printed --count records; Ctrl-C ends it. The exit code
is 4 if --timeout is over before.`,
		Example: indented(
			"shoal sub ticks | jq .Price",
			"shoal sub lines --count 1000000 --reliable | sha256sum",
			"shoal sub log --from oldest --hex",
			"shoal sub orders --name ledger >> ledger.json"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("topic")),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.counted = cmd.Flags().Changed("count")
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return c.subscribe(ctx, &s, args[0])
		},
	}
	s.printing.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.from, "from", "now", "begin with the oldest record, or now")
	numberVar(cmd, &s.count, "count", 0, 0, "end after `N` records")
	f.BoolVar(&s.reliable, "reliable", false, "have publishers wait")
	f.StringVar(&s.name, "name", "", "reliable, by a `name` that outlives the process")
	f.BoolVar(&s.forget, "forget", false, "end the subscription of that name")
	f.BoolVar(&s.wait, "wait", false, "wait until there is such a topic")
	f.DurationVar(&s.timeout, "timeout", 0, "end after a time: 500ms, 10s")
	must(cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions([]string{"oldest", "now"}, cobra.ShellCompDirectiveNoFileComp)))
	noCompletion(cmd, "count", "name", "timeout")
	return cmd
}

// done reports whether it has printed all that was asked for.
func (s *subscribing) done() bool { return s.counted && s.got.records >= s.count }

func (c *command) subscribe(ctx context.Context, s *subscribing, name string) error {
	if _, err := c.memory(name); err != nil {
		return err
	}
	switch s.from {
	case "now":
	case "oldest":
		s.start = topic.Oldest
	default:
		return usageError{fmt.Errorf("--from %s: it is oldest or now", s.from)}
	}
	if err := s.printing.check(c.json); err != nil {
		return err
	}
	if s.timeout < 0 {
		return usageError{fmt.Errorf("time-out %v is negative", s.timeout)}
	}
	if s.forget {
		if s.name == "" {
			return usageError{errors.New("--forget goes with --name")}
		}
		return c.forget(name, s.name)
	}
	if s.done() {
		return nil
	}
	ctx, cancel := limited(ctx, s.timeout)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	o, err := s.observe(ctx, name)
	if err != nil {
		return outcome(ctx, err, false)
	}
	defer o.Close()
	typ, err := o.Schema()
	if err != nil {
		return err
	}
	if s.reliable || s.name != "" {
		o.Close() // it has told the type
	}
	out := c.outlet(typ, s.printing)
	if s.name == "" {
		out.fail = fail // it flushes itself
	}
	if s.reliable || s.name != "" {
		err = c.subscribeReliably(ctx, s, name, typ, out)
	} else {
		err = c.overhear(ctx, s, o, out)
	}
	if e := out.flush(); err == nil || errors.Is(err, context.Canceled) && e != nil {
		err = e
	}
	if !s.quiet {
		c.say("received %v%s", &s.got, s.gaps())
	}
	return outcome(ctx, err, !s.counted)
}

// gaps says how many records were missed, at the end.
func (s *subscribing) gaps() string {
	if s.missed == 0 {
		return ""
	}
	return fmt.Sprintf("; missed %d", s.missed)
}

// observe opens the topic for looking at it, when it is there.
func (s *subscribing) observe(ctx context.Context, name string) (*topic.Observer, error) {
	for {
		o, err := topic.Observe(name)
		if !s.wait || !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
		if err := pause(ctx, glance); err != nil {
			return nil, err
		}
	}
}

// overhear prints what an observer sees.
func (c *command) overhear(ctx context.Context, s *subscribing, o *topic.Observer, out *outlet) error {
	for m, err := range o.All(ctx, s.start) {
		if err != nil {
			if c.missed(s, err) {
				continue
			}
			return causeOf(ctx, err)
		}
		if err := out.print(record{data: m.Data, publisher: m.Publisher, number: int64(m.Number), sent: m.Sent}); err != nil {
			return err
		}
		s.got.add(len(m.Data))
		if err := ended(ctx); s.done() || err != nil {
			return err
		}
	}
	return nil
}

// missed counts what was missed, if that is what an error is about, and says so: not
// more than once a second, for it must not make things worse.
func (c *command) missed(s *subscribing, err error) bool {
	var m *topic.MissedError
	switch {
	case errors.As(err, &m):
		s.missed += m.Count
		s.untold += m.Count
		if now := time.Now(); now.Sub(s.told) >= time.Second {
			c.say("missed %s, which were overwritten before they were read", count(int64(s.untold), "record"))
			s.told, s.untold = now, 0
		}
	case errors.Is(err, topic.ErrDropped):
		c.say("%v", err)
	default:
		return false
	}
	return true
}

// subscribeReliably prints what a subscription gets that publishers wait for.
func (c *command) subscribeReliably(ctx context.Context, s *subscribing, name string, typ *schema.Schema, out *outlet) error {
	t, err := topic.Open[[]byte](name, &topic.Options{Type: typ})
	if err != nil {
		return err
	}
	defer t.Close()
	sub, err := t.Subscribe(&topic.SubscribeOptions{From: s.start, Name: s.name})
	if err != nil {
		return err
	}
	defer sub.Close()
	if s.name != "" {
		return c.receiveNamed(ctx, s, sub, out)
	}
	for data, err := range sub.Runs(ctx) {
		if err != nil {
			if c.missed(s, err) {
				continue
			}
			return causeOf(ctx, err)
		}
		if err := s.print(out, sub, *data); err != nil {
			return err
		}
		if err := ended(ctx); s.done() || err != nil {
			return err
		}
	}
	return nil
}

// receiveNamed prints what a subscription gets that outlives us: a record is released
// when it is out of our hands.
func (c *command) receiveNamed(ctx context.Context, s *subscribing, sub *topic.Subscription[[]byte], out *outlet) error {
	for !s.done() {
		if err := ended(ctx); err != nil {
			return err
		}
		data, err := sub.Peek(ctx)
		if err != nil {
			if c.missed(s, err) {
				continue
			}
			return causeOf(ctx, err)
		}
		if err = s.print(out, sub, *data); err == nil {
			err = out.flush()
		}
		if err == nil {
			err = sub.Release()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// print prints a record of a subscription.
func (s *subscribing) print(out *outlet, sub *topic.Subscription[[]byte], data []byte) error {
	info := sub.Last()
	s.got.add(len(data))
	return out.print(record{data: data, publisher: info.Publisher, number: int64(info.Number)})
}

// forget ends the subscription of a name.
func (c *command) forget(name, subscription string) error {
	t, err := openTopic(name, false, &topic.Options{})
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.Forget(subscription); err != nil {
		return err
	}
	c.say("%s has no subscription %q any more", name, subscription)
	return nil
}
