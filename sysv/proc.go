package sysv

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The files /proc/sysvipc/{shm,sem,msg} are tables: a line of column names,
// then a line for each object. Columns are found by name, since kernels have
// added some.
//
//	key      shmid perms       size  cpid  lpid nattch   uid   gid  cuid  cgid      atime ...
//	4660         3  1600       1024   321   322      1     0     0     0     0 1700000000 ...
//
// Keys are signed decimal, perms octal with the bits of [Mode], sizes bytes,
// times seconds since 1970.

// seconds converts the kernel's time; 0 is never.
func seconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// row gives access to the columns of one line. The first failure sticks.
type row struct {
	columns map[string]int
	fields  []string
	err     error
}

// number reads a column of at most bits bits; unsigned ones may use all of them.
func number[T ~int | ~int32 | ~int64 | ~uint32](r *row, name string, base, bits int, signed bool) (v T) {
	if r.err != nil {
		return 0
	}
	i, ok := r.columns[name]
	if !ok {
		r.err = fmt.Errorf("no column %q", name)
		return 0
	}
	var n int64
	var err error
	if signed {
		n, err = strconv.ParseInt(r.fields[i], base, bits)
	} else {
		var u uint64
		u, err = strconv.ParseUint(r.fields[i], base, bits)
		n = int64(u)
	}
	if err != nil {
		r.err = fmt.Errorf("column %q: %w", name, err)
		return 0
	}
	return T(n)
}

func (r *row) int(name string) int       { return number[int](r, name, 10, 32, true) }
func (r *row) int64(name string) int64   { return number[int64](r, name, 10, 63, false) }
func (r *row) uint32(name string) uint32 { return number[uint32](r, name, 10, 32, false) }
func (r *row) key() Key                  { return number[Key](r, "key", 10, 32, true) }
func (r *row) mode() Mode                { return number[Mode](r, "perms", 8, 32, false) }
func (r *row) time(name string) time.Time {
	return seconds(number[int64](r, name, 10, 64, true))
}

// optional is int64 for a column that may be absent: then -1.
func (r *row) optional(name string) int64 {
	if _, ok := r.columns[name]; !ok {
		return -1
	}
	return r.int64(name)
}

// parseTable reads a table, converting each line by parse.
func parseTable[T any](in io.Reader, parse func(*row) T) ([]T, error) {
	lines := bufio.NewScanner(in)
	columns, width := map[string]int{}, 0
	if lines.Scan() {
		names := strings.Fields(lines.Text())
		for i, name := range names {
			columns[name] = i
		}
		width = len(names)
	}
	var list []T
	for n := 2; lines.Scan(); n++ {
		r := row{columns: columns, fields: strings.Fields(lines.Text())}
		if len(r.fields) == 0 {
			continue
		}
		if len(r.fields) < width {
			return nil, fmt.Errorf("line %d: %d columns, expected %d", n, len(r.fields), width)
		}
		v := parse(&r)
		if r.err != nil {
			return nil, fmt.Errorf("line %d: %w", n, r.err)
		}
		list = append(list, v)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return list, nil
}

func parseShm(in io.Reader) ([]ShmInfo, error) {
	return parseTable(in, func(r *row) ShmInfo {
		return ShmInfo{
			ID:         ShmID(r.int("shmid")),
			Key:        r.key(),
			Size:       r.int64("size"),
			UID:        r.uint32("uid"),
			GID:        r.uint32("gid"),
			CreatorUID: r.uint32("cuid"),
			CreatorGID: r.uint32("cgid"),
			Mode:       r.mode(),
			CreatorPID: r.int("cpid"),
			LastPID:    r.int("lpid"),
			Attached:   int(r.int64("nattch")),
			AttachTime: r.time("atime"),
			DetachTime: r.time("dtime"),
			ChangeTime: r.time("ctime"),
			Resident:   r.optional("rss"),
			Swapped:    r.optional("swap"),
		}
	})
}

func parseSem(in io.Reader) ([]SemInfo, error) {
	return parseTable(in, func(r *row) SemInfo {
		return SemInfo{
			ID:         SemID(r.int("semid")),
			Key:        r.key(),
			Count:      r.int("nsems"),
			UID:        r.uint32("uid"),
			GID:        r.uint32("gid"),
			CreatorUID: r.uint32("cuid"),
			CreatorGID: r.uint32("cgid"),
			Mode:       r.mode(),
			OTime:      r.time("otime"),
			ChangeTime: r.time("ctime"),
		}
	})
}

func parseMsg(in io.Reader) ([]MsgInfo, error) {
	return parseTable(in, func(r *row) MsgInfo {
		return MsgInfo{
			ID:             MsgID(r.int("msqid")),
			Key:            r.key(),
			Bytes:          r.int64("cbytes"),
			Messages:       r.int64("qnum"),
			MaxBytes:       -1, // the one thing that the file does not tell
			UID:            r.uint32("uid"),
			GID:            r.uint32("gid"),
			CreatorUID:     r.uint32("cuid"),
			CreatorGID:     r.uint32("cgid"),
			Mode:           r.mode(),
			LastSendPID:    r.int("lspid"),
			LastReceivePID: r.int("lrpid"),
			SendTime:       r.time("stime"),
			ReceiveTime:    r.time("rtime"),
			ChangeTime:     r.time("ctime"),
		}
	})
}
