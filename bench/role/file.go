//go:build linux && (amd64 || arm64)

package role

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

func init() {
	participants["go-pipe"] = participant{open: openPipe, other: map[string]func(*Job) (func(*Outcome) error, error){
		"death/near": func(j *Job) (func(*Outcome) error, error) {
			f, err := openFIFO(j.There, os.O_RDONLY)
			if err != nil {
				return nil, err
			}
			return deathOf(func() error { return readEnd(f) })
		},
		"death/far": func(j *Job) (func(*Outcome) error, error) {
			_, err := openFIFO(j.There, os.O_RDWR)
			return sleepForEver, err
		},
	}}
	participants["go-unix"] = participant{open: openSocket, other: map[string]func(*Job) (func(*Outcome) error, error){
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			one := make([]byte, 1)
			return j.attach(func() error { // it is attached when the other side answers
				c, err := net.Dial("unix", "@"+j.There)
				if err != nil {
					return err
				}
				if _, err := io.ReadFull(c, one); err != nil {
					return err
				}
				return c.Close()
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) {
			l, err := net.Listen("unix", "@"+j.There)
			if err != nil {
				return nil, err
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write([]byte{1})
					c.Close()
				}
			}()
			return serve, nil
		},
		"death/near": func(j *Job) (func(*Outcome) error, error) {
			c, err := net.Dial("unix", "@"+j.There)
			if err != nil {
				return nil, err
			}
			return deathOf(func() error { return readEnd(c) })
		},
		"death/far": func(j *Job) (func(*Outcome) error, error) {
			l, err := net.Listen("unix", "@"+j.There)
			if err != nil {
				return nil, err
			}
			return func(o *Outcome) error {
				if _, err := l.Accept(); err != nil {
					return err
				}
				return sleepForEver(o)
			}, nil
		},
	}}
}

// readEnd waits for the end of a stream.
func readEnd(r io.Reader) error {
	n, err := r.Read(make([]byte, 1))
	if n == 0 && (err == io.EOF || errors.Is(err, unix.ECONNRESET)) {
		return nil
	}
	return errors.Join(err, errors.New("not the end"))
}

func openFIFO(path string, mode int) (*os.File, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return os.OpenFile(path, mode|unix.O_NONBLOCK, 0)
}

// openPipe opens two pipes with names. They work as those without.
func openPipe(j *Job) (*ends, error) {
	open := func(path string) (*os.File, error) {
		if path == "" {
			return nil, nil
		}
		f, err := openFIFO(path, os.O_RDWR)
		if err != nil {
			return nil, err
		}
		c, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		// As large as may be: where that is not allowed it stays as it was.
		return f, c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, min(j.Area, 1<<20)) })
	}
	there, err := open(j.There)
	if err != nil {
		return nil, err
	}
	back, err := open(j.Back)
	if err != nil {
		return nil, err
	}
	if j.Side == Far {
		there, back = back, there
	}
	return streamEnds(j, there, back), nil
}

// streamEnds sends and receives over streams of bytes.
func streamEnds(j *Job, out io.Writer, in io.Reader) *ends {
	p := newPayload(j, true)
	write := func(b []byte) error {
		_, err := out.Write(b)
		return err
	}
	buffer := make([]byte, j.Size*max(j.Batch, 1))
	have := 0 // bytes of the next records that have come with the last ones
	next := func() ([]byte, error) {
		n, err := io.ReadAtLeast(in, buffer[have:], max(j.Size-have, 0))
		if err != nil {
			return nil, err
		}
		have += n
		return buffer[:have/j.Size*j.Size], nil
	}
	done := func() error {
		whole := have / j.Size * j.Size
		have = copy(buffer, buffer[whole:have])
		return nil
	}
	return &ends{sender: newBytesSender(j, p, write, write), receiver: &bytesReceiver{p, next, done}}
}

func openSocket(j *Job) (*ends, error) {
	tune := func(c net.Conn) (net.Conn, error) {
		return c, c.(*net.UnixConn).SetWriteBuffer(j.Area)
	}
	if j.Side == Near {
		c, err := net.Dial("unix", "@"+j.There)
		if err != nil {
			return nil, err
		}
		c, err = tune(c)
		return streamEnds(j, c, c), err
	}
	l, err := net.Listen("unix", "@"+j.There)
	if err != nil {
		return nil, err
	}
	e := streamEnds(j, nil, nil)
	e.begin = func() error {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c, err = tune(c)
		both := streamEnds(j, c, c)
		e.sender, e.receiver = both.sender, both.receiver
		return err
	}
	return e, nil
}
