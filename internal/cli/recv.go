package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/schema"
)

// receiving is one shoal recv.
type receiving struct {
	printing
	count    uint64
	ack      string
	inFlight int
	exec     string
	attempts int
	wait     bool
	timeout  time.Duration

	counted bool // --count was given
	got     tally
	acked   uint64
	again   uint64 // deliveries that were not the first
	back    uint64 // messages given back
}

func (c *command) recvCommand() *cobra.Command {
	var r receiving
	cmd := &cobra.Command{
		Use:   "recv QUEUE [--count N] [--ack=auto|manual | --exec CMD] [FLAGS]",
		Short: "Receive the messages of a queue, and acknowledge them",
		Long: `A message is one consumer's alone until that has acknowledged it; if it gives it
back, or dies, the next one gets it. Messages of a type are printed as JSON,
others as lines.

  --ack=auto    a message is acknowledged when it has been written to the output
  --ack=manual  a message is printed behind a token and a tab, and acknowledged
                when a line that begins with the token comes back on standard
                input; "nack TOKEN" gives it back, and so does the end of input
  --exec CMD    the shell runs CMD for each message, on its standard input; if
                that exits with 0 the message is acknowledged. Else it is given
                back, after a pause that grows with its deliveries, of which
                SHOAL_DELIVERIES has the number. With --attempts N recv ends,
                with exit code 1, when a message has failed N times

It goes on until --count messages are acknowledged; Ctrl-C ends it, and gives
back what is not. The exit code is 4 if --timeout is over before.`,
		Example: indented(
			"shoal recv jobs --exec 'convert - out-$$.jpg'",
			"shoal recv jobs --count 1",
			"mkfifo done; shoal recv jobs --ack=manual < done | work > done"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("queue")),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.counted = cmd.Flags().Changed("count")
			if r.exec != "" && cmd.Flags().Changed("ack") {
				return usageError{errors.New("--exec acknowledges what its command has done: no --ack")}
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return c.receive(ctx, &r, args[0])
		},
	}
	r.printing.flags(cmd)
	f := cmd.Flags()
	numberVar(cmd, &r.count, "count", 0, 0, "end after `N` messages")
	f.StringVar(&r.ack, "ack", "auto", "when: auto or manual")
	numberVar(cmd, &r.inFlight, "in-flight", 1, 1, "--ack=manual: most without an answer")
	f.StringVar(&r.exec, "exec", "", "run a `command` for each message")
	numberVar(cmd, &r.attempts, "attempts", 0, 0, "--exec: end when a message has failed `N` times")
	f.BoolVar(&r.wait, "wait", false, "wait until there is such a queue")
	f.DurationVar(&r.timeout, "timeout", 0, "end after a time: 500ms, 10s")
	must(cmd.RegisterFlagCompletionFunc("ack", cobra.FixedCompletions([]string{"auto", "manual"}, cobra.ShellCompDirectiveNoFileComp)))
	noCompletion(cmd, "count", "in-flight", "exec", "attempts", "timeout")
	return cmd
}

// left is how many messages are still to be acknowledged, at most n.
func (r *receiving) left(n int) int {
	if r.counted {
		return int(min(uint64(n), r.count-min(r.acked, r.count)))
	}
	return n
}

// took counts a message that was received.
func (r *receiving) took(m *queue.Message[[]byte]) {
	r.got.add(len(*m.Value))
	if m.Deliveries > 1 {
		r.again++
	}
}

// summary says what has become of the messages.
func (r *receiving) summary() string {
	text := "received " + strings.ReplaceAll(r.got.String(), "record", "message") + fmt.Sprintf(", acknowledged %d", r.acked)
	if r.back > 0 {
		text += fmt.Sprintf(", gave back %d", r.back)
	}
	if r.again > 0 {
		text += fmt.Sprintf("; %d had been delivered before", r.again)
	}
	return text
}

func (c *command) receive(ctx context.Context, r *receiving, name string) error {
	if _, err := c.memory(name); err != nil {
		return err
	}
	if err := r.printing.check(c.json); err != nil {
		return err
	}
	switch {
	case r.ack != "auto" && r.ack != "manual":
		return usageError{fmt.Errorf("--ack=%s: it is auto or manual", r.ack)}
	case r.ack == "manual" && (r.raw || r.asHex):
		return usageError{errors.New("tokens stand before lines and JSON: neither --raw nor --hex")}
	case r.timeout < 0:
		return usageError{errors.New("--timeout is not negative")}
	}
	ctx, cancel := limited(ctx, r.timeout)
	defer cancel()
	q, typ, err := r.open(ctx, name)
	if err != nil {
		return outcome(ctx, err, false)
	}
	defer q.Close()
	switch {
	case r.exec != "":
		err = c.receiveForCommand(ctx, r, q)
	case r.ack == "manual":
		err = c.receiveForAnswers(ctx, r, q, typ)
	default:
		err = c.receiveAll(ctx, r, q, typ)
	}
	err = causeOf(ctx, err)
	if e := q.Close(); err == nil {
		err = e
	}
	if !r.quiet {
		c.say("%s", r.summary())
	}
	return outcome(ctx, err, !r.counted)
}

// open opens the queue, when it is there.
func (r *receiving) open(ctx context.Context, name string) (*queue.Queue[[]byte], *schema.Schema, error) {
	for {
		q, typ, err := openQueue(name, false, &queue.Options{})
		if !r.wait || !errors.Is(err, fs.ErrNotExist) {
			return q, typ, err
		}
		if err := pause(ctx, glance); err != nil {
			return nil, nil, err
		}
	}
}

// handful is how many messages are taken at once where each is done with soon.
const handful = 64

// receiveAll prints messages, and acknowledges what has been written.
func (c *command) receiveAll(ctx context.Context, r *receiving, q *queue.Queue[[]byte], typ *schema.Schema) error {
	out := c.outlet(typ, r.printing)
	var room [handful]queue.Message[[]byte]
	for {
		left := r.left(handful)
		if err := ended(ctx); left == 0 || err != nil {
			return err
		}
		n, err := q.ReceiveBatch(ctx, room[:left])
		if err != nil {
			return err
		}
		for i := range room[:n] {
			m := &room[i]
			r.took(m)
			if err := out.print(record{data: *m.Value, number: -1, deliveries: m.Deliveries}); err != nil {
				r.back += uint64(n)
				return err
			}
		}
		if err := out.flush(); err != nil {
			r.back += uint64(n)
			return err
		}
		done, err := q.AckBatch(room[:n])
		r.acked += uint64(done)
		if err != nil {
			return err
		}
	}
}

// maxRest bounds the pause before a message that failed is given back.
const maxRest = 10 * time.Second

// receiveForCommand runs a command for each message.
func (c *command) receiveForCommand(ctx context.Context, r *receiving, q *queue.Queue[[]byte]) error {
	for r.left(1) > 0 {
		if err := ended(ctx); err != nil {
			return err
		}
		m, err := q.Receive(ctx)
		if err != nil {
			return err
		}
		r.took(&m)
		code, err := c.runFor(&m, r.exec)
		if err != nil || code != 0 {
			r.back++
			if err == nil {
				c.say("shoal: the command failed with code %d on a message of %s, delivery %d", code, count(int64(len(*m.Value)), "byte"), m.Deliveries)
			}
			if last := r.attempts > 0 && m.Deliveries >= r.attempts; !last && err == nil {
				pause(ctx, min(50*time.Millisecond<<min(m.Deliveries, 10), maxRest)) // ours meanwhile
			} else if err == nil {
				err = fmt.Errorf("a message has failed %s; it is the next one in the queue", count(int64(m.Deliveries), "time"))
			}
			if e := m.Nack(); err == nil {
				err = e
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := m.Ack(); err != nil {
			return err
		}
		r.acked++
	}
	return nil
}

// runFor runs a command with a message as its input.
func (c *command) runFor(m *queue.Message[[]byte], command string) (Code, error) {
	one := *c
	one.stdin = bytes.NewReader(*m.Value)
	return one.runUnder("/bin/sh", []string{"/bin/sh", "-c", command}, "SHOAL_DELIVERIES="+strconv.Itoa(m.Deliveries))
}

// reply is what came back for a token.
type reply struct {
	token uint64
	nack  bool
	wrong string // no answer: what came
}

// parseReply reads a line that came back: "7", "7	...", "ack 7", "nack 7", or the JSON
// object that had been printed, perhaps with a member "nack".
func parseReply(line string) reply {
	var a reply
	if strings.HasPrefix(line, "{") {
		var v struct {
			Token uint64
			Nack  bool
		}
		if json.Unmarshal([]byte(line), &v) == nil && v.Token > 0 {
			return reply{token: v.Token, nack: v.Nack}
		}
	}
	words := strings.Fields(line)
	if len(words) > 1 && (words[0] == "ack" || words[0] == "nack") {
		a.nack = words[0] == "nack"
		words = words[1:]
	}
	var err error
	if len(words) > 0 {
		a.token, err = strconv.ParseUint(words[0], 10, 64)
	}
	if len(words) == 0 || err != nil || a.token == 0 {
		a.wrong = line
	}
	return a
}

// receiveForAnswers prints messages with tokens, and acknowledges those whose tokens
// come back.
func (c *command) receiveForAnswers(ctx context.Context, r *receiving, q *queue.Queue[[]byte], typ *schema.Schema) error {
	out := c.outlet(typ, r.printing)
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan reply)
	go c.hear(ctx, answers)
	type delivery struct {
		m   queue.Message[[]byte]
		err error
	}
	deliveries, next := make(chan delivery), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range next {
			m, err := q.Receive(ctx)
			deliveries <- delivery{m, err}
		}
	}()
	held := map[uint64]queue.Message[[]byte]{}
	waiting := false
	defer func() { // what is held goes back when the queue is closed
		cancel()
		if waiting {
			<-deliveries
		}
		close(next)
		<-ended
		r.back += uint64(len(held))
	}()
	for token := uint64(1); r.left(1) > 0; {
		if !waiting && len(held) < r.left(r.inFlight) {
			next <- struct{}{}
			waiting = true
		}
		select {
		case d := <-deliveries:
			if waiting = false; d.err != nil {
				return d.err
			}
			held[token] = d.m
			r.took(&d.m)
			if err := out.printToken(token, &d.m); err != nil {
				return err
			}
			token++
		case a, more := <-answers:
			if !more {
				return nil
			}
			if err := c.answer(r, held, a); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// hear reads answers until the input ends.
func (c *command) hear(ctx context.Context, answers chan<- reply) {
	defer close(answers)
	in := bufio.NewScanner(c.stdin)
	in.Buffer(nil, 1<<30)
	for in.Scan() {
		select {
		case answers <- parseReply(in.Text()):
		case <-ctx.Done():
			return
		}
	}
}

// answer does what an answer says.
func (c *command) answer(r *receiving, held map[uint64]queue.Message[[]byte], a reply) error {
	m, ok := held[a.token]
	switch {
	case a.wrong != "":
		c.say("shoal: %.60q is no answer: it begins with a token, or with nack and a token", a.wrong)
		return nil
	case !ok:
		c.say("shoal: no message has the token %d (any more)", a.token)
		return nil
	}
	delete(held, a.token)
	if a.nack {
		r.back++
		return m.Nack()
	}
	r.acked++
	return m.Ack()
}

// printToken prints a message that is to be answered.
func (o *outlet) printToken(token uint64, m *queue.Message[[]byte]) error {
	var text []byte
	var err error
	switch {
	case o.asJSON && o.typ.Untyped():
		text, err = appendJSON(nil, record{data: *m.Value, number: -1, deliveries: m.Deliveries, token: token})
	case o.asJSON:
		text = fmt.Appendf(nil, `{"token":%d,"deliveries":%d,"message":`, token, m.Deliveries)
		text, err = o.typ.AppendJSON(text, *m.Value)
		text = append(text, "}\n"...)
	default:
		text, err = o.format(fmt.Appendf(nil, "%d\t", token), record{data: *m.Value, number: -1})
	}
	if err != nil {
		return err
	}
	if _, err := o.w.Write(text); err != nil {
		return err
	}
	return o.flush()
}
