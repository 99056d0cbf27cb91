package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// publishing is one shoal pub.
type publishing struct {
	sending
	options     topic.Options
	laneSize    size
	policy      string
	subscribers int
}

func (c *command) pubCommand() *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use:   "pub TOPIC [--lines | --json | --size N] [--create] [FLAGS]",
		Short: "Publish standard input to a topic, record by record",
		Long: `A topic with a type takes JSON values, one for each record, unless --size says
that they come as bytes. One without takes lines, or with --json any JSON values
as they are. What is there is sent at once; nothing waits for more.

The policy of a topic is what happens while a subscriber, reliable or with a
name, is slow: wait for it; refuse, with exit code 4; drop, and it misses some.
When this is killed, what it has sent stays: the next publisher goes on behind
it. It says what it has sent, also on Ctrl-C.`,
		Example: indented(
			"shoal pub ticks < ticks.json",
			"seq 1000000 | shoal pub lines --create --wait-subscribers 1",
			`echo '{"Time":1,"Price":101.5}' | shoal pub ticks`,
			"tail -f access.log | shoal pub log --create --policy drop",
			"shoal schema ticks > tick; shoal pub copy --create --type tick < ticks.json"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("topic")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.check(cmd, "lane-size", "publishers", "subscribers", "policy"); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return outcome(ctx, c.publish(ctx, &p, args[0]), false)
		},
	}
	p.flags(cmd, "topic")
	f := cmd.Flags()
	f.Var(&p.laneSize, "lane-size", "new: `bytes` each publisher keeps (default 128KiB)")
	numberVar(cmd, &p.options.Publishers, "publishers", topic.DefaultPublishers, 1, "new: how many at a time")
	numberVar(cmd, &p.options.Subscribers, "subscribers", topic.DefaultSubscribers, 1, "new: how many at a time")
	f.StringVar(&p.policy, "policy", "wait", "new: what to do about the slow")
	numberVar(cmd, &p.subscribers, "wait-subscribers", 0, 0, "first wait until there are `N`")
	noCompletion(cmd, "lane-size", "publishers", "subscribers", "wait-subscribers")
	must(cmd.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions([]string{"wait", "refuse", "drop"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// policies are those of a topic by name.
var policies = map[string]topic.Policy{"wait": topic.Wait, "refuse": topic.Refuse, "drop": topic.Drop}

func (c *command) publish(ctx context.Context, p *publishing, name string) error {
	if _, err := c.memory(name); err != nil {
		return err
	}
	var ok bool
	if p.options.Policy, ok = policies[p.policy]; !ok {
		return usageError{fmt.Errorf("%q is no policy: wait, refuse, drop", p.policy)}
	}
	p.options.LaneSize, p.options.Mode = int(p.laneSize), fs.FileMode(p.mode)
	var err error
	if p.options.Type, err = p.schemaFile(); err != nil {
		return err
	}
	t, err := openTopic(name, p.create, &p.options)
	if err != nil {
		return withCreate(err)
	}
	defer t.Close()
	pub, err := t.Publisher()
	if err != nil {
		return err
	}
	defer pub.Close()
	if err := c.awaitSubscribers(ctx, t, p.subscribers); err != nil {
		return err
	}
	return c.stream(ctx, &p.sending, name, t.Schema(), t.MaxRecord(), pub)
}

// openTopic opens a topic of whatever type, or makes one.
func openTopic(name string, create bool, o *topic.Options) (*topic.Topic[[]byte], error) {
	if o.Type == nil {
		typ, err := topicType(name)
		if err == nil {
			o.Type = typ
		} else if !create || !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if create {
		return topic.OpenOrCreate[[]byte](name, o)
	}
	return topic.Open[[]byte](name, o)
}

// topicType is the type of the records of a topic that exists.
func topicType(name string) (*schema.Schema, error) {
	o, err := topic.Observe(name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.Schema()
}

// withCreate says what to do about an object that is not there, where --create makes it.
func withCreate(err error) error {
	if e := (*shm.Error)(nil); errors.Is(err, fs.ErrNotExist) && errors.As(err, &e) && e.Advice == "" {
		e.Advice = "to make it add --create"
	}
	return err
}

// glance is how often something is looked at that tells nobody when it changes.
const glance = 5 * time.Millisecond

// awaitSubscribers waits until a topic has so many subscribers, each with a process.
func (c *command) awaitSubscribers(ctx context.Context, t *topic.Topic[[]byte], n int) error {
	for said := false; n > 0; said = true {
		there := 0
		for _, s := range t.Stats().Subscribers {
			if s.Port.Alive && s.State != topic.Joining {
				there++
			}
		}
		if there >= n {
			return nil
		}
		if !said {
			c.say("waiting for %s, %d there", count(int64(n), "subscriber"), there)
		}
		if err := pause(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}
