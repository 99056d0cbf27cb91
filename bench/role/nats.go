//go:build servers && linux && (amd64 || arm64)

package role

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func init() {
	participants["nats"] = participant{open: openNATS, other: map[string]func(*Job) (func(*Outcome) error, error){
		"server": serveNATS,
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			return j.attach(func() error {
				c, err := nats.Connect(j.Server)
				if err != nil {
					return err
				}
				defer c.Close()
				if _, err := c.SubscribeSync(j.There); err != nil {
					return err
				}
				return c.Flush()
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) { return serve, nil },
	}}
}

// serveNATS is the server, as it is published, in a process of its own. It may hold
// back as much as a measurement sends: it would cut a slow subscriber off otherwise.
func serveNATS(j *Job) (func(*Outcome) error, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		MaxPayload: 8 << 20, MaxPending: 512 << 20, WriteDeadline: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the NATS server does not get ready")
	}
	j.Server = s.ClientURL()
	return serveMeasured, nil
}

func openNATS(j *Job) (*ends, error) {
	c, err := nats.Connect(j.Server, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		fmt.Fprintln(os.Stderr, "NATS error:", err) // records are lost: the sums will not agree
	}), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { fmt.Fprintln(os.Stderr, "NATS error, disconnected:", err) }))
	if err != nil {
		return nil, err
	}
	to, from := j.There, j.Back
	if j.Side == Far {
		to, from = from, to
	}
	e := &ends{}
	p := newPayload(j, true)
	if to != "" {
		e.cleanUp = func() { _ = c.Flush() } // the last record must not stay here
		write := func(b []byte) error { return c.Publish(to, b) }
		if j.Measure == Stream {
			// Nothing holds a publisher up, and what is too much is lost: it waits for the
			// server now and then.
			left := j.look()
			write = func(b []byte) error {
				if left--; left < 0 {
					left = j.look()
					if err := c.Flush(); err != nil {
						return err
					}
				}
				return c.Publish(to, b)
			}
		}
		e.sender = newBytesSender(j, p, write, nil)
	}
	if from != "" {
		arrived := make(chan *nats.Msg, 1<<22)
		for range max(j.Count, 1) {
			if _, err := c.ChanSubscribe(from, arrived); err != nil {
				return nil, err
			}
		}
		if err := c.Flush(); err != nil {
			return nil, err
		}
		next := func() ([]byte, error) { return (<-arrived).Data, nil }
		e.receiver = &bytesReceiver{p, next, nil}
	}
	return e, nil
}
