package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// size is a flag that holds a number of bytes: 1024, 64KiB, 1.5GiB, 10MB. As
// everywhere, KiB is 1024 bytes and kB 1000.
type size int64

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*s), 10)
}

func (s *size) Type() string { return "size" }

func (s *size) Set(text string) error {
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	*s = size(n)
	return nil
}

// parseSize reads a number of bytes, at least 0.
func parseSize(text string) (int64, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "-") {
		return 0, fmt.Errorf("%q is negative", text)
	}
	n, err := humanize.ParseBytes(text)
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "too large"), err == nil && n > math.MaxInt64:
		return 0, fmt.Errorf("%q is more than 2^63-1 bytes", text)
	case err != nil:
		return 0, fmt.Errorf("%q is no size; sizes are 1024, 64KiB, 1.5GiB, 10MB", text)
	}
	return int64(n), nil
}

// positiveSize is a size that is at least 1: that of an object.
type positiveSize struct{ size }

func (s *positiveSize) Set(text string) error {
	if err := s.size.Set(text); err != nil {
		return err
	}
	if s.size == 0 {
		return fmt.Errorf("%q: an object has at least 1 byte", text)
	}
	return nil
}

// number is a flag that holds a whole number, and at least so many.
type number[T int | uint32 | uint64] struct {
	value *T
	least T
}

// numberVar is IntVar and its like, with words of our own for what is no such number.
func numberVar[T int | uint32 | uint64](cmd *cobra.Command, value *T, name string, initial, least T, usage string) {
	*value = initial
	cmd.Flags().Var(number[T]{value, least}, name, usage)
}

func (n number[T]) String() string {
	if n.value == nil { // the zero value is asked, too, for what the default may be
		return "0"
	}
	return strconv.FormatUint(uint64(*n.value), 10)
}

func (n number[T]) Type() string { return "int" }

func (n number[T]) Set(text string) error {
	v, err := strconv.ParseUint(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && (v > math.MaxInt64 || uint64(T(v)) != v):
		return fmt.Errorf("%q is too large", text)
	case err != nil || v < uint64(n.least):
		return fmt.Errorf("%q is no whole number of at least %d", text, n.least)
	}
	*n.value = T(v)
	return nil
}

// mode is a flag that holds permission bits in octal: 0600, 666.
type mode fs.FileMode

func (m *mode) String() string {
	if *m == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", uint32(*m))
}

func (m *mode) Type() string { return "mode" }

func (m *mode) Set(text string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return fmt.Errorf("%q is no mode; modes are octal permissions such as 0600, 0666", text)
	}
	*m = mode(n)
	return nil
}

// bytesText writes a size for people: "1.0 KiB"; "-" for an unknown one.
func bytesText(n int64) string {
	if n < 0 {
		return "-"
	}
	return humanize.IBytes(uint64(n))
}
