package sysv

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Tables as kernels write them, and a column that none has yet.
const (
	shmTable = `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      4660          0   644                  1024  4242  4243      2     0     0     0     0 1700000001 1700000002 1700000003                  4096                     0
-559038737  131079  3600 9223372036854775807  4242     0      0 4294967294 65534  1000   100          0          0 1700000003                     0                  8192
`
	oldShmTable = `key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime
4660 0 644 1024 4242 4243 2 0 0 0 0 0 0 1700000003
`
	semTable = `       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime   future
      4660          3   600          5     1     2     3     4          0 1700000003        x
`
	msgTable = `       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
         0          9   622       16384          7    11    12     1     2     3     4 1700000001 1700000002 1700000003
`
)

func TestParseTables(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(1700000000+s, 0) }
	segments, err := parseShm(strings.NewReader(shmTable))
	want := []ShmInfo{
		{ID: 0, Key: 0x1234, Size: 1024, Mode: 0o644, CreatorPID: 4242, LastPID: 4243, Attached: 2,
			AttachTime: at(1), DetachTime: at(2), ChangeTime: at(3), Resident: 4096},
		{ID: 131079, Key: -0x21524111, Size: 1<<63 - 1, UID: 1<<32 - 2, GID: 65534, CreatorUID: 1000, CreatorGID: 100,
			Mode: 0o3600, CreatorPID: 4242, ChangeTime: at(3), Swapped: 8192},
	}
	if err != nil || !reflect.DeepEqual(segments, want) {
		t.Errorf("got  %+v, %v\nwant %+v", segments, err, want)
	}
	// Before Linux 2.6.34 there were no rss and swap.
	segments, err = parseShm(strings.NewReader(oldShmTable))
	if err != nil || len(segments) != 1 || segments[0].Resident != -1 || segments[0].Swapped != -1 || segments[0].ChangeTime != at(3) {
		t.Errorf("%+v, %v", segments, err)
	}
	sets, err := parseSem(strings.NewReader(semTable))
	if want := []SemInfo{{ID: 3, Key: 0x1234, Count: 5, UID: 1, GID: 2, CreatorUID: 3, CreatorGID: 4, Mode: 0o600, ChangeTime: at(3)}}; err != nil || !reflect.DeepEqual(sets, want) {
		t.Errorf("got  %+v, %v\nwant %+v", sets, err, want)
	}
	queues, err := parseMsg(strings.NewReader(msgTable))
	if want := []MsgInfo{{ID: 9, Bytes: 16384, Messages: 7, MaxBytes: -1, UID: 1, GID: 2, CreatorUID: 3, CreatorGID: 4, Mode: 0o622,
		LastSendPID: 11, LastReceivePID: 12, SendTime: at(1), ReceiveTime: at(2), ChangeTime: at(3)}}; err != nil || !reflect.DeepEqual(queues, want) {
		t.Errorf("got  %+v, %v\nwant %+v", queues, err, want)
	}
	for _, text := range []string{"", "\n", shmTable[:strings.Index(shmTable, "\n")]} {
		if list, err := parseShm(strings.NewReader(text)); err != nil || len(list) != 0 {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
}

func TestParseTableErrors(t *testing.T) {
	line := "4660 0 644 1024 4242 4243 2 0 0 0 0 0 0 1700000003"
	header, _, _ := strings.Cut(oldShmTable, "\n")
	for _, c := range []struct{ name, text, want string }{
		{"short line", header + "\n" + line + "\n4660 0", "line 3: 2 columns, expected 14"},
		{"no such column", strings.Replace(header, "nattch", "attached", 1) + "\n" + line, `line 2: no column "nattch"`},
		{"key too large", header + "\n" + strings.Replace(line, "4660", "2147483648", 1), `column "key"`},
		{"mode not octal", header + "\n" + strings.Replace(line, "644", "648", 1), `column "perms"`},
		{"negative size", header + "\n" + strings.Replace(line, "1024", "-1", 1), `column "size"`},
		{"size above 63 bits", header + "\n" + strings.Replace(line, "1024", strconv.FormatUint(1<<63, 10), 1), `column "size"`},
		{"column named twice", "key " + header + "\n" + line, "14 columns, expected 15"},
		{"line without end", header + "\n" + line + "\n" + strings.Repeat("1", 1<<17), "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if list, err := parseShm(strings.NewReader(c.text)); err == nil || list != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %q", list, err, c.want)
			}
		})
	}
}

// Whatever stands in such a file, reading it ends, and gives entries or an error.
func FuzzParseTables(f *testing.F) {
	for _, s := range []string{shmTable, oldShmTable, semTable, msgTable, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		if list, err := parseShm(strings.NewReader(text)); err != nil && list != nil || len(list) > lines {
			t.Errorf("%d entries, %v", len(list), err)
		}
		if list, err := parseSem(strings.NewReader(text)); err != nil && list != nil || len(list) > lines {
			t.Errorf("%d entries, %v", len(list), err)
		}
		if list, err := parseMsg(strings.NewReader(text)); err != nil && list != nil || len(list) > lines {
			t.Errorf("%d entries, %v", len(list), err)
		}
	})
}
