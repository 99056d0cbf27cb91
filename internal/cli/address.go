package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

// addressHelp says what an ADDR is.
const addressHelp = `Addresses:
  /name, posix:/name   a POSIX object, as shm_open(3) names it
  sysv:0x1234          a System V key
  sysv-id:7            a System V id
  file:PATH            a regular file
  name                 a Shoal object, as programs open it: /shoal.name`

// resolve returns the address of the object that an argument means, of any type;
// a wrong form is usage. Messages go on calling it by the name that was given.
func (c *command) resolve(arg string) (string, error) {
	addr, err := inspect.Resolve(arg)
	if err == nil {
		err = inspect.CheckAddress(addr)
	}
	if err != nil {
		return "", usageError{err}
	}
	if addr != arg {
		if c.bare == nil {
			c.bare = map[string]string{}
		}
		c.bare[addr] = arg
	}
	if a, err := shm.ParseAddress(addr); err == nil {
		return addr, unnamed(a)
	}
	return addr, nil
}

// resolveAll resolves every argument, or none.
func (c *command) resolveAll(args []string) ([]string, error) {
	addrs := make([]string, len(args))
	for i, arg := range args {
		var err error
		if addrs[i], err = c.resolve(arg); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// memory resolves the address of a segment.
func (c *command) memory(arg string) (string, error) {
	addr, err := c.resolve(arg)
	if err == nil && !inspect.IsMemory(addr) {
		_, err = shm.ParseAddress(addr) // says what they look like
		err = usageError{err}
	}
	return addr, err
}

// plain resolves the address of a segment that may have to be made, and so is
// none of a Shoal object: those have contents from the start.
func (c *command) plain(arg string) (string, error) {
	addr, err := c.memory(arg)
	if err == nil && c.bare[addr] != "" {
		err = usageError{fmt.Errorf("%s: a bare name is a Shoal object, made by the programs that use it; plain memory is made as /%s", arg, arg)}
	}
	return addr, err
}

// shown is what messages call the object at an address.
func (c *command) shown(addr string) string {
	if name := c.bare[addr]; name != "" {
		return name
	}
	return addr
}

// named has an error call its object as the user did.
func (c *command) named(err error) error {
	var e *shm.Error
	if !errors.As(err, &e) {
		return err
	}
	if name := c.bare[e.Object]; name != "" {
		e.Object = name
		if e.Advice == "" && errors.Is(err, fs.ErrNotExist) {
			e.Advice = fmt.Sprintf("a bare name is a Shoal object (did you mean %q?)", "/"+name)
		}
	}
	return err
}

// unnamed refuses the address of a memfd: it would live as long as the command.
func unnamed(a shm.Address) error {
	if a.Kind() == shm.Memfd {
		return usageError{fmt.Errorf("%s: a memfd has no name: others get it from its holder alone; use /name", a)}
	}
	return nil
}
