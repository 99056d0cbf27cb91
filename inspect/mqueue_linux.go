package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// queueDir is where the file system of POSIX message queues is mounted by
// custom (mq_overview(7)). Where it is not, queues stay out of sight.
const queueDir = "/dev/mqueue"

// mqueueMagic is MQUEUE_MAGIC of ipc/mqueue.c: the type that statfs(2) tells.
const mqueueMagic = 0x19800202

func posixQueues() (objects []Object) {
	var fs unix.Statfs_t
	if unix.Statfs(queueDir, &fs) != nil || fs.Type != mqueueMagic {
		return nil
	}
	entries, err := os.ReadDir(queueDir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(queueDir, e.Name())
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil {
			continue // gone meanwhile
		}
		o := bare(schemeMQ+"/"+e.Name(), MessageQueue)
		o.Mode = os.FileMode(st.Mode) & os.ModePerm
		o.UID, o.GID = st.Uid, st.Gid
		o.Changed = timeOf(st.Ctim)
		o.Used = later(timeOf(st.Mtim), timeOf(st.Atim))
		// The file's text is "QSIZE:129 NOTIFY:0 ...": the bytes in the queue. To
		// open it needs permission, but takes no message.
		if text, err := os.ReadFile(path); err == nil {
			o.Size = queueSize(text)
		}
		objects = append(objects, o)
	}
	return objects
}

func queueSize(text []byte) int64 {
	_, rest, found := bytes.Cut(text, []byte("QSIZE:"))
	number, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseInt(string(number), 10, 64)
	if !found || err != nil {
		return -1
	}
	return n
}
