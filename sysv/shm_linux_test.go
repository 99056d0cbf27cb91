//go:build linux && (amd64 || arm64)

package sysv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

var page = os.Getpagesize()

func TestShmRoundTrip(t *testing.T) {
	key := newKey(t)
	before := time.Now().Add(-time.Second)
	id := newShm(t, key, 1000, 0o640)

	s, err := id.Stat()
	must(t, err)
	if s.ID != id || s.Key != key || s.Size != 1000 || s.Mode != 0o640 || s.Attached != 0 || s.LastPID != 0 {
		t.Errorf("new segment: %+v", s)
	}
	if s.UID != uint32(os.Geteuid()) || s.GID != uint32(os.Getegid()) || s.CreatorUID != s.UID || s.CreatorGID != s.GID || s.CreatorPID != os.Getpid() {
		t.Errorf("owner: %+v", s)
	}
	if !s.AttachTime.IsZero() || !s.DetachTime.IsZero() || s.ChangeTime.Before(before.Truncate(time.Second)) || s.ChangeTime.After(time.Now()) {
		t.Errorf("times: %+v", s)
	}
	if s.Resident != -1 || s.Swapped != -1 {
		t.Errorf("Stat claims to know the memory: %+v", s)
	}

	a, b := attach(t, id, 0), attach(t, id, ReadOnly)
	if len(a) != 1000 || cap(a) != 1000 {
		t.Fatalf("len %d, cap %d, want 1000", len(a), cap(a))
	}
	copy(a, "Hello, Shared Memory!")
	if string(b[:21]) != "Hello, Shared Memory!" {
		t.Errorf("second attachment sees %q", b[:21])
	}
	if s, err = id.Stat(); err != nil || s.Attached != 2 || s.LastPID != os.Getpid() || s.AttachTime.IsZero() {
		t.Errorf("attached twice: %+v, %v", s, err)
	}
	resident, swapped, err := id.Residency()
	if err != nil || resident+swapped != int64(page) {
		t.Errorf("Residency() = %d, %d, %v, want one page of %d together", resident, swapped, err, page)
	}

	must(t, ShmDt(a))
	must(t, ShmDt(b))
	if s, err = id.Stat(); err != nil || s.Attached != 0 || s.DetachTime.IsZero() {
		t.Errorf("detached: %+v, %v", s, err)
	}
	must(t, id.Remove())
	if _, err := ShmGet(key, 0, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed, and yet ShmGet says %v", err)
	}
}

func TestShmGetPrivate(t *testing.T) {
	ids := map[ShmID]bool{}
	for _, flags := range []Flag{0o600, Create | 0o600, Create | Exclusive | 0o600, Exclusive | 0o600} {
		id, err := ShmGet(Private, 1, flags)
		must(t, err)
		if ids[id] {
			t.Errorf("flags %#o: id %d again", int(flags), id)
		}
		ids[id] = true
		defer id.Remove()
	}
}

func TestShmGetErrors(t *testing.T) {
	key, missing := newKey(t), newKey(t)
	id := newShm(t, key, 1024, 0o600)

	for _, c := range []struct {
		name   string
		key    Key
		size   int
		flags  Flag
		want   syscall.Errno // 0: the existing segment
		advice string
	}{
		{"existing, same size", key, 1024, 0o600, 0, ""},
		{"existing, size 0", key, 0, 0, 0, ""},
		{"existing, smaller", key, 1, Create | 0o600, 0, ""},
		{"exclusive without create is ignored", key, 0, Exclusive, 0, ""},
		{"existing, larger", key, 1025, 0, syscall.EINVAL, "1025 bytes asked, the segment with this key"},
		{"existing, larger, create", key, 1025, Create | 0o600, syscall.EINVAL, "has 1024"},
		{"existing, negative size", key, -1, 0, syscall.EINVAL, "-1 bytes asked"},
		{"exclusive", key, 1024, Create | Exclusive | 0o600, syscall.EEXIST, ""},
		{"exclusive comes before the size", key, 4096, Create | Exclusive | 0o600, syscall.EEXIST, ""},
		{"missing", missing, 1024, 0o600, syscall.ENOENT, ""},
		{"missing, exclusive alone", missing, 1024, Exclusive | 0o600, syscall.ENOENT, ""},
		{"new, size 0", missing, 0, Create | 0o600, syscall.EINVAL, "at least 1"},
		{"private, size 0", Private, 0, 0o600, syscall.EINVAL, "at least 1"},
		{"huge pages of no known size", missing, 1, Create | HugePage(1<<62) | 0o600, syscall.EINVAL, "2^62"},
		{"huge pages of no power of two", missing, 1, Create | HugePage(3) | 0o600, syscall.EINVAL, "2^63"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ShmGet(c.key, c.size, c.flags)
			if c.want == 0 {
				if err != nil || got != id {
					t.Fatalf("= %d, %v, want %d", got, err, id)
				}
				return
			}
			wantErr(t, err, c.want)
			if got != -1 || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("= %d, %v; want -1 and %q", got, err, c.advice)
			}
			if _, err := ShmGet(missing, 0, 0); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("the failure has made something: %v", err)
			}
		})
	}
	if s, err := id.Stat(); err != nil || s.Size != 1024 || s.Mode != 0o600 {
		t.Errorf("the existing segment has changed: %+v, %v", s, err)
	}
}

func TestShmGetMemory(t *testing.T) {
	overcommit, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	must(t, err)
	if strings.TrimSpace(string(overcommit)) == "1" {
		t.Skip("vm.overcommit_memory is 1: the kernel promises any amount")
	}
	_, err = ShmGet(Private, 1<<50, 0o600)
	wantErr(t, err, syscall.ENOMEM)
	if !strings.Contains(err.Error(), "1125899906842624 bytes asked") {
		t.Errorf("no size in %v", err)
	}
}

// Huge pages: one is used where the machine has some to give, else the refusal is the expected one. What a user without
// privilege hears is in TestPermissions.
func TestShmGetHugeTLB(t *testing.T) {
	id, err := ShmGet(Private, 1, HugeTLB|0o600)
	switch {
	case err == nil:
		defer id.Remove()
		b := attach(t, id, 0)
		b[0] = 1
		if s, err := id.Stat(); err != nil || s.Size != 1 || len(b) != 1 {
			t.Errorf("%d bytes attached, %+v, %v", len(b), s, err)
		}
	case errors.Is(err, syscall.EPERM):
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "vm.hugetlb_shm_group") {
			t.Errorf("no advice in %v", err)
		}
	default:
		wantErr(t, err, syscall.ENOMEM)
		if !strings.Contains(err.Error(), "vm.nr_hugepages") {
			t.Errorf("no advice in %v", err)
		}
	}
}

func TestShmGetNoReserve(t *testing.T) {
	b := attach(t, newShm(t, Private, 1<<20, NoReserve|0o600), 0)
	b[1<<20-1] = 1
}

// The mode is exact whatever the umask says; the bytes of a new segment are 0.
func TestShmGetNew(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o777))
	for _, mode := range []Flag{0, 0o600, 0o666, 0o777} {
		id := newShm(t, Private, 3*page, mode)
		list, err := ShmList() // Stat needs a mode that permits it
		must(t, err)
		if i := slices.IndexFunc(list, func(s ShmInfo) bool { return s.ID == id }); i < 0 || list[i].Mode != Mode(mode) {
			t.Errorf("mode %#o asked, listed: %+v", int(mode), list)
		}
		if mode == 0o600 && !bytes.Equal(attach(t, id, 0), make([]byte, 3*page)) {
			t.Error("the bytes of a new segment are not all 0")
		}
	}
}

func TestShmLimitsReached(t *testing.T) {
	isolate.Require(t)
	newShm(t, Private, 1, 0o600)
	u, err := ShmUsage()
	must(t, err)
	for _, c := range []struct{ name, value, advice string }{
		{"shmmni", "1", "kernel.shmmni permits 1"},
		{"shmall", "1", "kernel.shmall permits"},
		{"shmmax", "4096", "kernel.shmmax permits 4096"},
	} {
		t.Run(c.name, func(t *testing.T) {
			setSysctl(t, c.name, c.value)
			l, err := ShmLimits()
			must(t, err)
			if got := map[string]uint64{"shmmni": l.MaxSegments, "shmall": l.MaxPages, "shmmax": l.MaxBytes}[c.name]; got > 4096 {
				t.Errorf("ShmLimits() = %+v", l)
			}
			_, err = ShmGet(newKey(t), 1<<20, Create|0o600)
			want := syscall.ENOSPC
			if c.name == "shmmax" {
				want = syscall.EINVAL
			}
			wantErr(t, err, want)
			if !strings.Contains(err.Error(), c.advice) {
				t.Errorf("%v; want %q", err, c.advice)
			}
		})
	}
	if after, err := ShmUsage(); err != nil || after.Segments != u.Segments || after.Pages != u.Pages {
		t.Errorf("usage was %+v, is %+v, %v", u, after, err)
	}
}

func TestShmUsage(t *testing.T) {
	before, err := ShmUsage()
	must(t, err)
	b := attach(t, newShm(t, Private, 3*page, 0o600), 0)
	b[0], b[page] = 1, 1
	u, err := ShmUsage()
	must(t, err)
	if isolate.Isolated() && (u.Segments != before.Segments+1 || u.Pages != before.Pages+3 ||
		u.PagesResident+u.PagesSwapped != before.PagesResident+before.PagesSwapped+2) {
		t.Errorf("was %+v, is %+v", before, u)
	}
}

func TestShmAtErrors(t *testing.T) {
	id := newShm(t, Private, 2*page, 0o600)
	b := attach(t, id, 0)
	base := address(b)
	attached := func() int {
		s, err := id.Stat()
		must(t, err)
		return s.Attached
	}
	for _, c := range []struct {
		name   string
		id     ShmID
		addr   uintptr
		flags  AttachFlag
		advice string
	}{
		{"negative id", -1, 0, 0, "no object has this id"},
		{"id of nothing", 1<<31 - 1, 0, 0, "no object has this id"},
		{"unaligned", id, base + 1, 0, "not a multiple of the page size"},
		{"occupied", id, base, 0, "something is mapped"},
		{"occupied after rounding", id, base + 1, Round, "something is mapped"},
		{"remap at no address", id, 0, Remap, "Remap needs an address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ShmAt(c.id, c.addr, c.flags)
			wantErr(t, err, syscall.EINVAL)
			if !strings.Contains(err.Error(), c.advice) {
				t.Errorf("%v; want %q", err, c.advice)
			}
			if n := attached(); n != 1 {
				t.Errorf("%d attachments, want 1", n)
			}
		})
	}
}

func TestShmAtRemap(t *testing.T) {
	first, second := newShm(t, Private, page, 0o600), newShm(t, Private, page, 0o600)
	a := attach(t, first, 0)
	a[0] = 1
	b, err := ShmAt(second, address(a)+1, Remap|Round)
	must(t, err)
	if address(b) != address(a) || b[0] != 0 {
		t.Errorf("at %#x, byte %d; want %#x, 0", address(b), b[0], address(a))
	}
	if s, err := first.Stat(); err != nil || s.Attached != 0 {
		t.Errorf("the replaced segment is attached %d times, %v", s.Attached, err)
	}
	must(t, ShmDt(b))
	wantErr(t, ShmDt(a), syscall.EINVAL)
}

func TestShmAtExec(t *testing.T) {
	b, err := ShmAt(newShm(t, Private, page, 0o600), 0, Exec)
	if err == nil && os.Geteuid() == 0 {
		must(t, ShmDt(b)) // a mode refuses root nothing
	} else {
		wantErr(t, err, syscall.EACCES)
	}
	attach(t, newShm(t, Private, page, 0o700), Exec)
}

func TestShmDtErrors(t *testing.T) {
	b := attach(t, newShm(t, Private, 2*page, 0o600), 0)
	for name, b := range map[string][]byte{
		"nil":        nil,
		"heap":       make([]byte, page),
		"empty heap": {},
		"middle":     b[page:],
		"second":     b[1:],
	} {
		if err := ShmDt(b); !isInvalid(err) || !strings.Contains(err.Error(), "no attached segment begins here") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b[0], b[2*page-1] = 1, 1 // still there
	must(t, ShmDt(b[:0]))
	wantErr(t, ShmDt(b), syscall.EINVAL)
}

// A store into a read-only attachment is a fault, and changes nothing.
func TestShmReadOnly(t *testing.T) {
	id := newShm(t, Private, page, 0o400)
	b := attach(t, id, ReadOnly)
	fault := func() (fault any) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { fault = recover() }()
		b[100] = 1
		return nil
	}()
	if a, ok := fault.(interface{ Addr() uintptr }); !ok || a.Addr() != address(b)+100 {
		t.Errorf("storing gives %v, want a fault at %#x", fault, address(b)+100)
	}
	if b[100] != 0 {
		t.Errorf("byte 100 is %d, want 0", b[100])
	}
}

// The id is the inode of the mapping.
func TestShmMapped(t *testing.T) {
	key := newKey(t)
	id := newShm(t, key, page, 0o600)
	b := attach(t, id, 0)
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	for line := range strings.Lines(string(maps)) {
		// 7f0000000000-7f0000001000 rw-s 00000000 00:01 7    /SYSV00001234 (deleted)
		if f := strings.Fields(line); strings.HasPrefix(f[0], fmt.Sprintf("%x-", address(b))) {
			if f[1] != "rw-s" || f[4] != fmt.Sprint(int(id)) || f[5] != fmt.Sprintf("/SYSV%08x", uint32(key)) {
				t.Errorf("id %d, key %v: %s", id, key, line)
			}
			return
		}
	}
	t.Errorf("no mapping at %#x in\n%s", address(b), maps)
}

func init() {
	roles["attach"] = func() {
		b, err := ShmAt(ShmID(idArgument(1)), 0, 0)
		if err != nil {
			panic(err)
		}
		b[0]++
		say("attached")
	}
}

// The death of a process detaches what it had attached, and so ends a removed segment.
func TestShmAttachedByTheDead(t *testing.T) {
	id := newShm(t, newKey(t), page, 0o600)
	b := attach(t, id, 0)
	a := play(t, "attach", id)
	a.says(t, "attached")
	if s, err := id.Stat(); err != nil || s.Attached != 2 || s.LastPID != a.Process.Pid || b[0] != 1 {
		t.Errorf("attached by two: %+v, %v, byte %d", s, err, b[0])
	}
	must(t, a.Process.Kill())
	a.Wait()
	if s, err := id.Stat(); err != nil || s.Attached != 1 || s.LastPID != a.Process.Pid {
		t.Errorf("one has died: %+v, %v", s, err)
	}

	a = play(t, "attach", id)
	a.says(t, "attached")
	must(t, id.Remove())
	must(t, ShmDt(b))
	if s, err := id.Stat(); err != nil || s.Attached != 1 || !s.Mode.Dest() {
		t.Errorf("removed, the other has it: %+v, %v", s, err)
	}
	must(t, a.Process.Kill())
	a.Wait()
	_, err := id.Stat()
	wantErr(t, err, syscall.EINVAL)
}

func TestShmRemoveWhileAttached(t *testing.T) {
	key := newKey(t)
	id := newShm(t, key, page, 0o600)
	a := attach(t, id, 0)
	a[0] = 42
	must(t, id.Remove())

	_, err := ShmGet(key, 0, 0)
	wantErr(t, err, syscall.ENOENT)
	s, err := id.Stat()
	must(t, err)
	if s.Key != Private || !s.Mode.Dest() || s.Mode.Perm() != 0o600 || s.Attached != 1 {
		t.Errorf("removed and attached: %+v", s)
	}
	b := attach(t, id, 0) // still possible by id
	if b[0] != 42 {
		t.Errorf("byte is %d, want 42", b[0])
	}
	must(t, ShmDt(a))
	must(t, ShmDt(b))
	_, err = id.Stat()
	wantErr(t, err, syscall.EINVAL)
	_, err = ShmAt(id, 0, 0)
	wantErr(t, err, syscall.EINVAL)
	wantErr(t, id.Remove(), syscall.EINVAL)
	wantErr(t, id.Lock(), syscall.EINVAL)
	wantErr(t, id.Unlock(), syscall.EINVAL)
	wantErr(t, id.Set(Perm{}), syscall.EINVAL)
	_, _, err = id.Residency()
	wantErr(t, err, syscall.EINVAL)
}

func TestShmSetAndLock(t *testing.T) {
	id := newShm(t, Private, page, 0o600)
	s, err := id.Stat()
	must(t, err)
	p := s.Perm()
	p.Mode = 0o7664 // more than counts
	must(t, id.Set(p))
	if s, err = id.Stat(); err != nil || s.Mode != 0o664 || s.UID != p.UID || s.GID != p.GID {
		t.Errorf("set: %+v, %v", s, err)
	}
	if canBecome(t, nobody) { // else nobody is there to give it to
		p = Perm{UID: nobody, GID: nobody, Mode: 0o600}
		must(t, id.Set(p))
		if s, err = id.Stat(); err != nil || s.Perm() != p || s.CreatorUID != 0 || s.CreatorGID != 0 {
			t.Errorf("given away: %+v, %v", s, err)
		}
	}
	wantErr(t, id.Set(Perm{UID: ^uint32(0), Mode: 0o600}), syscall.EINVAL)

	must(t, id.Lock())
	if s, err = id.Stat(); err != nil || !s.Mode.Locked() {
		t.Errorf("locked: %v, %v", s.Mode, err)
	}
	must(t, id.Unlock())
	if s, err = id.Stat(); err != nil || s.Mode.Locked() {
		t.Errorf("unlocked: %v, %v", s.Mode, err)
	}
}

func TestShmList(t *testing.T) {
	key := newKey(t)
	id := newShm(t, key, 5000, 0) // nobody may read it, and yet it is listed
	gone := newShm(t, Private, page, 0o600)
	other := newShm(t, Private, page, 0o600)
	b := attach(t, other, 0)
	b[0] = 1
	must(t, gone.Remove()) // leaves an empty place between the others

	list, err := ShmList()
	must(t, err)
	find := func(id ShmID) *ShmInfo {
		if i := slices.IndexFunc(list, func(s ShmInfo) bool { return s.ID == id }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	if s := find(id); s == nil || s.Key != key || s.Size != 5000 || s.Resident != 0 || s.Swapped != 0 {
		t.Errorf("listed: %+v", s)
	}
	if s := find(other); s == nil || s.Resident+s.Swapped != int64(page) || s.Attached != 1 {
		t.Errorf("listed: %+v", s)
	}
	if s := find(gone); s != nil {
		t.Errorf("listed though removed: %+v", s)
	}
	sameWithoutStatAny(t, &shmStatAny, list, ShmList)
}
