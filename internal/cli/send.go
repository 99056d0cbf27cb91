package cli

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/schema"
)

// submitting is one shoal send.
type submitting struct {
	sending
	options queue.Options
	longest size
}

func (c *command) sendCommand() *cobra.Command {
	var s submitting
	cmd := &cobra.Command{
		Use:   "send QUEUE [--lines | --json | --size N] [--create] [FLAGS]",
		Short: "Send standard input to a queue, message by message",
		Long: `Each message goes to one of those who receive, and stays until that one has
acknowledged it. A queue with a type takes JSON values, one for each message,
unless --size says that they come as bytes. One without takes lines, or with
--json any JSON values as they are.

It waits while the queue is full. It says what it has sent, also on Ctrl-C.`,
		Example: indented(
			"shoal send jobs --size 512 < blocks",
			"find . -name '*.png' | shoal send jobs --create"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("queue")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(cmd, "slots", "max-message"); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return outcome(ctx, c.submit(ctx, &s, args[0]), false)
		},
	}
	s.flags(cmd, "queue")
	f := cmd.Flags()
	numberVar(cmd, &s.options.Slots, "slots", queue.DefaultSlots, 1, "new: messages, a power of two")
	f.Var(&s.longest, "max-message", "new: `bytes` of the longest (default 992)")
	noCompletion(cmd, "slots", "max-message")
	return cmd
}

func (c *command) submit(ctx context.Context, s *submitting, name string) error {
	if _, err := c.memory(name); err != nil {
		return err
	}
	s.options.MaxMessage, s.options.Mode = int(s.longest), fs.FileMode(s.mode)
	var err error
	if s.options.Type, err = s.schemaFile(); err != nil {
		return err
	}
	q, typ, err := openQueue(name, s.create, &s.options)
	if err != nil {
		return withCreate(err)
	}
	defer q.Close()
	return c.stream(ctx, &s.sending, name, typ, q.MaxMessage(), q)
}

// openQueue opens a queue of whatever type, or makes one, and returns the type of its
// messages, too.
func openQueue(name string, create bool, o *queue.Options) (*queue.Queue[[]byte], *schema.Schema, error) {
	if o.Type == nil {
		typ, err := queueType(name)
		switch {
		case err == nil:
			o.Type = typ
		case create && errors.Is(err, fs.ErrNotExist):
			o.Type = schema.Bytes
		default:
			return nil, nil, err
		}
	}
	open := queue.Open[[]byte]
	if create {
		open = queue.OpenOrCreate[[]byte]
	}
	q, err := open(name, o)
	return q, o.Type, err
}

// queueType is the type of the messages of a queue that exists.
func queueType(name string) (*schema.Schema, error) {
	o, err := queue.Observe(name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.Schema()
}
