//go:build linux && (amd64 || arm64)

package sysv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// nobody is a user, and a group, without rights.
const nobody = 65534

// canBecome reports whether this process can start others as a user: it is root, and the user exists in its user
// namespace.
func canBecome(t testing.TB, user uint32) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/uid_map")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var inside, outside, count uint64
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err != nil {
			t.Fatalf("uid_map has the line %q: %v", line, err)
		}
		if inside <= uint64(user) && uint64(user) < inside+count {
			return os.Geteuid() == 0
		}
	}
	return false
}

// forbidden is what a test, as root, puts before nobody. A number in a name is the object's mode.
type forbidden struct {
	Key                      Key // of Shm600, Sem600 and Msg600
	Shm600, Shm604, ShmGiven ShmID
	Sem600, Sem604, Sem602   SemID
	Msg600, Msg604, Msg602   MsgID
	SemGiven                 SemID
	MsgGiven                 MsgID
	MaxQueueBytes            int64
}

// An attempt is something that nobody tries.
type attempt struct {
	name   string
	do     func(*forbidden) error
	want   syscall.Errno // 0: it succeeds
	advice string        // part of the message
}

// only drops a result, to leave the error.
func only[T any](_ T, err error) error { return err }

var attempts = []attempt{
	{"shmget asking for nothing", func(o *forbidden) error {
		id, err := ShmGet(o.Key, 0, 0)
		if err == nil && id != o.Shm600 {
			return fmt.Errorf("id %d, want %d", id, o.Shm600)
		}
		return err
	}, 0, ""},
	{"shmget asking to read", func(o *forbidden) error { return only(ShmGet(o.Key, 1, 0o400)) }, syscall.EACCES, "its mode is 0600, its owner uid 0"},
	{"shmget asking to write", func(o *forbidden) error { return only(ShmGet(o.Key, 1, 0o200)) }, syscall.EACCES, "this process is uid 65534"},
	{"shmget create", func(o *forbidden) error { return only(ShmGet(o.Key, 1, Create|0o600)) }, syscall.EACCES, ""},
	{"shmget exclusive", func(o *forbidden) error { return only(ShmGet(o.Key, 1, Create|Exclusive|0o600)) }, syscall.EEXIST, ""},
	{"shmget huge", func(o *forbidden) error { return only(ShmGet(Private, 2<<20, HugeTLB|0o600)) }, syscall.EPERM, "vm.hugetlb_shm_group"},
	{"shmat", func(o *forbidden) error { return only(ShmAt(o.Shm600, 0, 0)) }, syscall.EACCES, "its mode is 0600"},
	{"shmat to read", func(o *forbidden) error { return only(ShmAt(o.Shm600, 0, ReadOnly)) }, syscall.EACCES, "its mode is 0600"},
	{"shmat to write what may be read", func(o *forbidden) error { return only(ShmAt(o.Shm604, 0, 0)) }, syscall.EACCES, "ReadOnly needs read permission alone"},
	{"shmat to execute what may be read", func(o *forbidden) error { return only(ShmAt(o.Shm604, 0, ReadOnly|Exec)) }, syscall.EACCES, "its mode is 0604"},
	{"shmat to read what may be read", func(o *forbidden) error {
		b, err := ShmAt(o.Shm604, 0, ReadOnly)
		if err != nil {
			return err
		}
		if string(b) != "for all" {
			return fmt.Errorf("read %q", b)
		}
		return ShmDt(b)
	}, 0, ""},
	{"shmctl stat", func(o *forbidden) error { return only(o.Shm600.Stat()) }, syscall.EACCES, "its mode is 0600"},
	{"shmctl stat of what may be read", func(o *forbidden) error { return only(o.Shm604.Stat()) }, 0, ""},
	{"shmctl set", func(o *forbidden) error { return o.Shm604.Set(Perm{nobody, nobody, 0o666}) }, syscall.EPERM, "only its owner"},
	{"shmctl remove", func(o *forbidden) error { return o.Shm604.Remove() }, syscall.EPERM, "only its owner"},
	{"shmctl lock", func(o *forbidden) error { return o.Shm604.Lock() }, syscall.EPERM, "RLIMIT_MEMLOCK"},
	{"shmctl unlock", func(o *forbidden) error { return o.Shm604.Unlock() }, syscall.EPERM, "only its owner"},
	{"shm list and residency", func(o *forbidden) error {
		list, err := ShmList()
		if !slices.ContainsFunc(list, func(s ShmInfo) bool { return s.ID == o.Shm600 && s.Key == o.Key && s.Mode == 0o600 }) {
			return fmt.Errorf("not listed: %v", list)
		}
		_, _, e := o.Shm600.Residency()
		return errors.Join(err, e)
	}, 0, ""},
	// RLIMIT_MEMLOCK is 0.
	{"shmctl lock of the own segment without a limit", func(o *forbidden) error { return o.ShmGiven.Lock() }, syscall.EPERM, "RLIMIT_MEMLOCK"},
	{"shm as owner, not creator", func(o *forbidden) error {
		return errors.Join(o.ShmGiven.Set(Perm{nobody, nobody, 0o640}), o.ShmGiven.Remove())
	}, 0, ""},
	{"shm as creator, not owner", func(*forbidden) error {
		id, err := ShmGet(Private, 1, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(id.Set(Perm{0, 0, 0o400}), only(id.Stat()), id.Remove())
	}, 0, ""},

	{"semget asking for nothing", func(o *forbidden) error { return only(SemGet(o.Key, 0, 0)) }, 0, ""},
	{"semget asking to read", func(o *forbidden) error { return only(SemGet(o.Key, 1, 0o400)) }, syscall.EACCES, "its mode is 0600, its owner uid 0"},
	{"semget asking to alter", func(o *forbidden) error { return only(SemGet(o.Key, 1, 0o200)) }, syscall.EACCES, "this process is uid 65534"},
	{"semget exclusive", func(o *forbidden) error { return only(SemGet(o.Key, 1, Create|Exclusive|0o600)) }, syscall.EEXIST, ""},
	{"semop adding", func(o *forbidden) error { return o.Sem604.Op(SemBuf{Op: 1}) }, syscall.EACCES, "its mode is 0604"},
	{"semop adding, timed", func(o *forbidden) error { return o.Sem604.TimedOp(0, SemBuf{Op: 1}) }, syscall.EACCES, "its mode is 0604"},
	{"semop taking", func(o *forbidden) error { return o.Sem604.Op(SemBuf{Op: -1}) }, syscall.EACCES, "its mode is 0604"},
	{"semop waiting for 0", func(o *forbidden) error { return o.Sem600.Op(SemBuf{Num: 1, Op: 0}) }, syscall.EACCES, "its mode is 0600"},
	{"semop waiting for 0 where reading is permitted", func(o *forbidden) error { return o.Sem604.Op(SemBuf{Num: 1, Op: 0}) }, 0, ""},
	{"semctl values", func(o *forbidden) error { return only(o.Sem600.All()) }, syscall.EACCES, "its mode is 0600"},
	{"semctl value", func(o *forbidden) error { return only(o.Sem600.Value(0)) }, syscall.EACCES, "its mode is 0600"},
	{"semctl value where reading is permitted", func(o *forbidden) error { return only(o.Sem604.Value(0)) }, 0, ""},
	{"semctl sleepers", func(o *forbidden) error { return only(o.Sem600.NCount(0)) }, syscall.EACCES, "its mode is 0600"},
	{"semctl sleepers for 0", func(o *forbidden) error { return only(o.Sem600.ZCount(0)) }, syscall.EACCES, "its mode is 0600"},
	{"semctl pid", func(o *forbidden) error { return only(o.Sem600.PID(0)) }, syscall.EACCES, "its mode is 0600"},
	{"semctl set value", func(o *forbidden) error { return o.Sem604.SetValue(0, 9) }, syscall.EACCES, "its mode is 0604"},
	{"semctl set values", func(o *forbidden) error { return o.Sem604.SetAll([]uint16{9, 9}) }, syscall.EACCES, "its mode is 0604"},
	{"semctl set values, reading forbidden", func(o *forbidden) error { return o.Sem602.SetAll([]uint16{4, 5}) }, 0, ""},
	{"semctl set too few values, reading forbidden", func(o *forbidden) error { return o.Sem602.SetAll([]uint16{9}) }, syscall.EINVAL, "1 value for a set of 2"},
	{"semctl stat", func(o *forbidden) error { return only(o.Sem600.Stat()) }, syscall.EACCES, "its mode is 0600"},
	{"semctl otime", func(o *forbidden) error { return only(o.Sem600.OTime()) }, syscall.EACCES, "its mode is 0600"},
	{"semctl set", func(o *forbidden) error { return o.Sem604.Set(Perm{nobody, nobody, 0o666}) }, syscall.EPERM, "only its owner"},
	{"semctl remove", func(o *forbidden) error { return o.Sem604.Remove() }, syscall.EPERM, "only its owner"},
	{"sem list", func(o *forbidden) error {
		list, err := SemList()
		if !slices.ContainsFunc(list, func(s SemInfo) bool { return s.ID == o.Sem600 && s.Key == o.Key && s.Mode == 0o600 }) {
			return fmt.Errorf("not listed: %v", list)
		}
		return err
	}, 0, ""},
	{"sem as owner, not creator", func(o *forbidden) error {
		return errors.Join(o.SemGiven.Set(Perm{nobody, nobody, 0o640}), o.SemGiven.Remove())
	}, 0, ""},

	{"msgget asking for nothing", func(o *forbidden) error { return only(MsgGet(o.Key, 0)) }, 0, ""},
	{"msgget asking to read", func(o *forbidden) error { return only(MsgGet(o.Key, 0o400)) }, syscall.EACCES, "its mode is 0600, its owner uid 0"},
	{"msgget exclusive", func(o *forbidden) error { return only(MsgGet(o.Key, Create|Exclusive|0o600)) }, syscall.EEXIST, ""},
	{"msgsnd", func(o *forbidden) error { return o.Msg604.Send(1, nil, NoWait) }, syscall.EACCES, "its mode is 0604"},
	{"msgrcv", func(o *forbidden) error { _, _, err := o.Msg602.Receive(nil, 0, NoWait); return err }, syscall.EACCES, "its mode is 0602"},
	{"msgsnd where writing is permitted", func(o *forbidden) error { return o.Msg602.Send(7, []byte("by nobody"), NoWait) }, 0, ""},
	{"msgrcv where reading is permitted", func(o *forbidden) error {
		buf := make([]byte, 10)
		n, typ, err := o.Msg604.Receive(buf, 2, NoWait)
		if err == nil && (typ != 2 || string(buf[:n]) != "second") {
			return fmt.Errorf("received %q of type %d", buf[:n], typ)
		}
		return err
	}, 0, ""},
	{"msgctl stat", func(o *forbidden) error { return only(o.Msg600.Stat()) }, syscall.EACCES, "its mode is 0600"},
	{"msgctl set", func(o *forbidden) error { return o.Msg604.Set(Perm{nobody, nobody, 0o666}, 1) }, syscall.EPERM, "only its owner"},
	{"msgctl remove", func(o *forbidden) error { return o.Msg604.Remove() }, syscall.EPERM, "only its owner"},
	{"msg list", func(o *forbidden) error {
		list, err := MsgList()
		if !slices.ContainsFunc(list, func(s MsgInfo) bool { return s.ID == o.Msg600 && s.Key == o.Key && s.Mode == 0o600 }) {
			return fmt.Errorf("not listed: %v", list)
		}
		return err
	}, 0, ""},
	{"msgctl set of the own queue, more than the limit", func(o *forbidden) error {
		return o.MsgGiven.Set(Perm{nobody, nobody, 0o600}, o.MaxQueueBytes+1)
	}, syscall.EPERM, "kernel.msgmnb"},
	{"msgctl set of the own queue, as much as the limit", func(o *forbidden) error {
		return o.MsgGiven.Set(Perm{nobody, nobody, 0o600}, o.MaxQueueBytes)
	}, 0, ""},
	{"msg as owner, not creator", func(o *forbidden) error { return o.MsgGiven.Remove() }, 0, ""},
}

// An outcome is what came of an attempt.
type outcome struct {
	Errno      syscall.Errno
	Permission bool // errors.Is(err, fs.ErrPermission)
	Message    string
}

func init() {
	roles["nobody"] = func() {
		var o forbidden
		if err := json.Unmarshal([]byte(os.Args[1]), &o); err != nil {
			panic(err)
		}
		if uid := os.Geteuid(); uid != nobody {
			panic(fmt.Sprintf("uid is %d", uid))
		}
		// Else the limit would permit what privilege does not.
		const rlimitMemlock = 8
		if err := syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{}); err != nil {
			panic(err)
		}
		var outcomes []outcome
		for _, a := range attempts {
			var c outcome
			if err := a.do(&o); err != nil {
				c = outcome{^syscall.Errno(0), errors.Is(err, fs.ErrPermission), err.Error()}
				errors.As(err, &c.Errno)
			}
			outcomes = append(outcomes, c)
		}
		json.NewEncoder(os.Stdout).Encode(outcomes)
	}
}

// TestPermissions tries all that another user may not do, and what it may.
func TestPermissions(t *testing.T) {
	if !canBecome(t, nobody) {
		why := "this process is not root"
		if os.Geteuid() == 0 {
			why = fmt.Sprintf("there is no user %d in this user namespace", nobody)
		}
		t.Skipf("needs another user, and to become that: %s", why)
	}
	key := newKey(t)
	l, err := MsgLimits()
	must(t, err)
	o := forbidden{
		Key:    key,
		Shm600: newShm(t, key, 1000, 0o600), Shm604: newShm(t, Private, 7, 0o604), ShmGiven: newShm(t, Private, 1, 0o600),
		Sem600: newSem(t, key, 2, 0o600), Sem604: newSem(t, Private, 2, 0o604), Sem602: newSem(t, Private, 2, 0o602), SemGiven: newSem(t, Private, 1, 0o600),
		Msg600: newMsg(t, key, 0o600), Msg604: newMsg(t, Private, 0o604), Msg602: newMsg(t, Private, 0o602), MsgGiven: newMsg(t, Private, 0o600),
		MaxQueueBytes: int64(l.MaxQueueBytes),
	}
	b := attach(t, o.Shm604, 0)
	copy(b, "for all")
	must(t, ShmDt(b))
	for _, id := range []SemID{o.Sem600, o.Sem604, o.Sem602} {
		must(t, id.SetAll([]uint16{3, 0}))
	}
	must(t, o.Msg604.Send(1, []byte("first"), NoWait))
	must(t, o.Msg604.Send(2, []byte("second"), NoWait))
	theirs := Perm{nobody, nobody, 0o600}
	must(t, errors.Join(o.ShmGiven.Set(theirs), o.SemGiven.Set(theirs), o.MsgGiven.Set(theirs, 1)))

	arg, err := json.Marshal(o)
	must(t, err)
	cmd := child("nobody", string(arg))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.Output()
	must(t, err)
	var outcomes []outcome
	must(t, json.Unmarshal(out, &outcomes))
	if len(outcomes) != len(attempts) {
		t.Fatalf("%d outcomes of %d attempts", len(outcomes), len(attempts))
	}
	for i, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			c := outcomes[i]
			if c.Errno != a.want || !strings.Contains(c.Message, a.advice) {
				t.Errorf("%q; want %v and %q", c.Message, a.want, a.advice)
			}
			if want := a.want == syscall.EACCES || a.want == syscall.EPERM; c.Permission != want {
				t.Errorf("%q is fs.ErrPermission: %v, want %v", c.Message, c.Permission, want)
			}
		})
	}

	// What was forbidden has changed nothing.
	for id, mode := range map[ShmID]Mode{o.Shm600: 0o600, o.Shm604: 0o604} {
		if s, err := id.Stat(); err != nil || s.Mode != mode || s.UID != 0 || s.Attached != 0 {
			t.Errorf("segment of mode %#o: %+v, %v", uint32(mode), s, err)
		}
	}
	for id, want := range map[SemID][]uint16{o.Sem600: {3, 0}, o.Sem604: {3, 0}, o.Sem602: {4, 5}} {
		if v, err := id.All(); err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("set %d: %v, %v, want %v", id, v, err, want)
		}
	}
	if text, typ := receive(t, o.Msg602, 0, 0); text != "by nobody" || typ != 7 {
		t.Errorf("received %q of type %d", text, typ)
	}
	if s, err := o.Msg604.Stat(); err != nil || s.Messages != 1 || s.Bytes != 5 || s.Mode != 0o604 || s.MaxBytes != int64(l.MaxQueueBytes) {
		t.Errorf("queue of mode 604: %+v, %v", s, err)
	}
	if isolate.Isolated() {
		segments, err1 := ShmUsage()
		sets, err2 := SemUsage()
		queues, err3 := MsgUsage()
		if err := errors.Join(err1, err2, err3); err != nil || segments.Segments != 2 || sets.Sets != 3 || queues.Queues != 3 {
			t.Errorf("left: %+v, %+v, %+v, %v", segments, sets, queues, err)
		}
	}
}
