package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

func (c *command) schemaCommand() *cobra.Command {
	var asC, asNumpy bool
	cmd := &cobra.Command{
		Use:   "schema NAME [--c | --numpy | --json]",
		Short: "Print the type of a ring's, topic's or queue's records",
		Long: `The object describes its type itself. As it stands there the text can be given
to pub --type and send --type, or parsed with package schema; --c is a C
declaration with every offset asserted, --numpy an expression for numpy.dtype,
--json a tree.`,
		Example: indented(
			"shoal schema ticks",
			"shoal schema ticks --c > ticks.h",
			"shoal schema ticks --json | jq -r '.type.fields[].name'"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("ring", "topic", "queue")),
		RunE: func(_ *cobra.Command, args []string) error {
			addr, err := c.resolve(args[0])
			if err != nil {
				return err
			}
			s, err := c.flow(addr)
			if err != nil {
				return err
			}
			typ := s.Flow.Schema
			text := typ.String()
			switch {
			case c.json && (asC || asNumpy):
				return usageError{fmt.Errorf("--json goes with neither --c nor --numpy")}
			case c.json:
				text = typ.JSON() + "\n"
			case typ.Untyped():
				return fmt.Errorf("the records of %s are bytes without a type", c.shown(addr))
			case asC:
				text = typ.C(identifier(args[0]))
			case asNumpy:
				text = typ.Numpy() + "\n"
			}
			_, err = io.WriteString(c.stdout, text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asC, "c", false, "as a C declaration")
	cmd.Flags().BoolVar(&asNumpy, "numpy", false, "as a Python expression for numpy.dtype")
	cmd.MarkFlagsMutuallyExclusive("c", "numpy")
	return cmd
}

// identifier is the part of a name or address from which a C name can be made.
func identifier(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] }

// flow looks at what must be a ring, a topic or a queue, and sound as far as can be seen
// at a glance.
func (c *command) flow(addr string) (*inspect.Structure, error) {
	info, err := shm.Stat(addr)
	if err != nil {
		return nil, err
	}
	var s *inspect.Structure
	if info.Address.Kind() == shm.SysV { // is not looked into but by who asks for it
		var o inspect.Object
		o, _, err = inspect.Find(addr)
		s = o.Structure
	} else {
		s, err = inspect.Look(addr)
	}
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, &shm.Error{Op: "look at", Object: addr, Err: errNoShoalObject}
	case len(s.Damage) > 0:
		return nil, &shm.Error{Op: "look at", Object: addr, Err: fmt.Errorf("%v: %w", s.Damage[0], shm.ErrCorrupt), Advice: "shoal check tells all"}
	case s.Flow == nil:
		return nil, &shm.Error{Op: "look at", Object: addr, Err: fmt.Errorf("a %s has no records: %w", s.Kind, shm.ErrKind)}
	}
	return s, nil
}

// typeWords writes a type for people: "bytes", "8-byte float64", "Time, Price, Size".
func typeWords(typ *schema.Schema) string {
	if typ.Untyped() {
		return "bytes"
	}
	t := typ.Type()
	dimensions := ""
	for t.Kind == schema.Array {
		dimensions += fmt.Sprintf("[%d]", t.Count)
		t = t.Elem
	}
	if t.Kind != schema.Struct {
		return dimensions + t.Kind.String()
	}
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return dimensions + "{" + strings.Join(names, ",") + "}"
}
