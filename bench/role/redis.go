//go:build servers && linux && (amd64 || arm64)

package role

import (
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func init() {
	participants["redis"] = participant{open: openRedis, other: map[string]func(*Job) (func(*Outcome) error, error){
		"server": serveRedis,
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			return j.attach(func() error {
				c := newRedis(j)
				defer c.Close()
				s := c.Subscribe(always, j.There)
				_, err := s.Receive(always) // the server's answer
				return err
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) { return serve, nil },
	}}
}

// serveRedis starts the server that is installed, which writes nothing to files.
func serveRedis(j *Job) (func(*Outcome) error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
		"--dir", j.Dir, "--client-output-buffer-limit", "pubsub", "0", "0", "0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // with which the server ends
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	j.Server = "127.0.0.1:" + port
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", j.Server); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("redis-server does not answer at %s", j.Server)
		}
	}
	return func(o *Outcome) error {
		begin := clock()
		_ = serve(o)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		o.Took = int64(clock() - begin)
		if s := cmd.ProcessState; s != nil {
			o.CPU = int64(s.UserTime() + s.SystemTime())
		}
		return nil
	}, nil
}

func newRedis(j *Job) *redis.Client {
	// With version 3 of the protocol the client loses some records of a dense stream.
	return redis.NewClient(&redis.Options{
		Addr: j.Server, Protocol: 2, ReadTimeout: -1, WriteTimeout: -1, DisableIdentity: true,
	})
}

func openRedis(j *Job) (*ends, error) {
	c := newRedis(j)
	to, from := j.There, j.Back
	if j.Side == Far {
		to, from = from, to
	}
	e := &ends{}
	p := newPayload(j, true)
	if j.Shared {
		return openList(j, c, p), nil
	}
	if to != "" {
		write := func(b []byte) error { return c.Publish(always, to, b).Err() }
		many := func(b []byte) error { // in one write, and one read of all answers
			_, err := c.Pipelined(always, func(pipe redis.Pipeliner) error {
				for ; len(b) > 0; b = b[j.Size:] {
					pipe.Publish(always, to, b[:j.Size])
				}
				return nil
			})
			return err
		}
		e.sender = newBytesSender(j, p, write, many)
	}
	if from != "" {
		arrived := make(chan string, 1<<16)
		for range max(j.Count, 1) {
			s := c.Subscribe(always, from)
			if _, err := s.Receive(always); err != nil {
				return nil, err
			}
			if j.Count <= 1 {
				next := func() ([]byte, error) {
					m, err := s.ReceiveMessage(always)
					if err != nil {
						return nil, err
					}
					return []byte(m.Payload), nil
				}
				e.receiver = &bytesReceiver{p, next, nil}
				continue
			}
			go func() {
				for {
					m, err := s.ReceiveMessage(always)
					if err != nil {
						return
					}
					arrived <- m.Payload
				}
			}()
		}
		if j.Count > 1 {
			e.receiver = &bytesReceiver{p, func() ([]byte, error) { return []byte(<-arrived), nil }, nil}
		}
	}
	return e, nil
}

// openList sends to a list and receives from it: each record goes to one receiver.
func openList(j *Job, c *redis.Client, p *payload) *ends {
	if j.Side == Near {
		write := func(b []byte) error { return c.RPush(always, j.There, b).Err() }
		return &ends{sender: newBytesSender(j, p, write, nil)}
	}
	next := func() ([]byte, error) {
		v, err := c.BLPop(always, 0, j.There).Result()
		if err != nil {
			return nil, err
		}
		return []byte(v[1]), nil
	}
	return &ends{receiver: &bytesReceiver{p, next, nil}}
}
