package cli

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

func (c *command) whoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "who ADDR|PID",
		Short: "Tell who holds an object, or what a process holds",
		Long: `A process holds an object that it has mapped or open; of regular files, those
that it shares by mapping them. A number is a process, never a bare name.

It looks into every process that this user may look into, and says "partial"
and why where those are not all.`,
		Example: indented(
			"shoal who /my_shm",
			"shoal who sysv:0x1234 --json | jq .pid",
			"shoal who $$"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFirst,
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.Trim(args[0], "0123456789") == "" && args[0] != "" {
				return c.whatProcessHolds(args[0])
			}
			return c.whoHolds(args[0])
		},
	}
}

// whoHolds prints the holders of an object.
func (c *command) whoHolds(addr string) error {
	addr, err := c.memory(addr)
	if err != nil {
		return err
	}
	o, partial, err := inspect.Find(addr)
	if err != nil {
		return err
	}
	p := newPalette(c.stdout)
	t := table{columns: []column{
		{title: "PID", right: true}, {title: "USER", cut: 8}, {title: "MAPPED", right: true},
		{title: "OPEN", right: true}, {title: "COMMAND", cut: 8},
	}}
	users := userNames{}
	for _, h := range o.Holders {
		user := processUser(h.PID, users)
		if c.json {
			err := c.printJSON(struct {
				Address     string `json:"address"`
				PID         int    `json:"pid"`
				User        string `json:"user,omitempty"`
				Command     string `json:"command,omitempty"`
				Mapped      int64  `json:"mapped"`
				Descriptors int    `json:"descriptors"`
			}{o.Address, h.PID, user, h.Command, h.Mapped, h.Descriptors})
			if err != nil {
				return err
			}
			continue
		}
		t.add(cell{strconv.Itoa(h.PID), p.plain}, cell{printable(user), p.plain}, cell{mappedText(h.Mapped), p.plain},
			cell{strconv.Itoa(h.Descriptors), p.plain}, cell{printable(h.Command), p.plain})
	}
	return c.finishWho(&t, p, len(o.Holders), partial, "nobody has "+c.shown(o.Address)+" mapped or open")
}

// whatProcessHolds prints the objects of a process.
func (c *command) whatProcessHolds(number string) error {
	pid, err := strconv.ParseInt(number, 10, 32)
	if err != nil || pid == 0 {
		return usageError{fmt.Errorf("%s is not the number of a process", number)}
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(int(pid))); err != nil {
		return fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	census, err := shm.TakeCensus()
	if err != nil {
		return err
	}
	p := newPalette(c.stdout)
	t := table{columns: []column{
		{title: "ADDRESS", cut: 24}, {title: "MAPPED", right: true}, {title: "OPEN", right: true}, {title: "STATE"},
	}}
	// A file that is only open is no shared memory.
	objects := slices.DeleteFunc(census.Objects(int(pid)), func(h shm.Held) bool {
		return h.Address.Kind() == shm.File && h.Mapped == 0
	})
	for _, held := range objects {
		if c.json {
			err := c.printJSON(struct {
				PID         int    `json:"pid"`
				Address     string `json:"address"`
				Mapped      int64  `json:"mapped"`
				Descriptors int    `json:"descriptors"`
				Removed     bool   `json:"removed"`
			}{int(pid), held.Address.String(), held.Mapped, held.Descriptors, held.Removed})
			if err != nil {
				return err
			}
			continue
		}
		state := cell{"", p.plain}
		if held.Removed {
			state = cell{"removed", p.warn}
		}
		t.add(cell{printable(held.Address.String()), p.plain}, cell{mappedText(held.Mapped), p.plain},
			cell{strconv.Itoa(held.Descriptors), p.plain}, state)
	}
	return c.finishWho(&t, p, len(objects), census.Partial(), fmt.Sprintf("process %d holds no shared objects", pid))
}

// finishWho prints the table, or says that it is empty, and how far to trust it.
func (c *command) finishWho(t *table, p palette, rows int, partial, none string) error {
	switch {
	case rows == 0:
		c.say("%s", none)
	case !c.json:
		if err := t.print(c.stdout, terminalWidth(c.stdout), p.head); err != nil {
			return err
		}
	}
	c.sayPartial(partial)
	return nil
}

// mappedText is the size of a mapping; "-" for what is only open.
func mappedText(n int64) string {
	if n == 0 {
		return "-"
	}
	return bytesText(n)
}
