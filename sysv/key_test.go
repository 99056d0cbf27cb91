package sysv

import (
	"errors"
	"math"
	"strconv"
	"testing"
)

func TestParseKey(t *testing.T) {
	for text, want := range map[string]Key{
		"0x1234":      0x1234,
		"0X1234":      0x1234,
		"4660":        0x1234,
		"011064":      0x1234,
		"0o11064":     0x1234,
		"0b1":         1,
		"0":           Private,
		"-1":          -1,
		"0xffffffff":  -1,
		"4294967295":  -1,
		"0x80000000":  math.MinInt32,
		"-2147483648": math.MinInt32,
		"2147483647":  math.MaxInt32,
	} {
		if got, err := ParseKey(text); err != nil || got != want {
			t.Errorf("ParseKey(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"":                     strconv.ErrSyntax,
		"key":                  strconv.ErrSyntax,
		"0x":                   strconv.ErrSyntax,
		"12 ":                  strconv.ErrSyntax,
		"+1":                   strconv.ErrSyntax,
		"1_000":                strconv.ErrSyntax,
		"1.0":                  strconv.ErrSyntax,
		"08":                   strconv.ErrSyntax,
		"4294967296":           strconv.ErrRange,
		"-2147483649":          strconv.ErrRange,
		"99999999999999999999": strconv.ErrRange,
	} {
		got, err := ParseKey(text)
		var e *Error
		if got != 0 || !errors.Is(err, want) || !errors.As(err, &e) || e.Object != strconv.Quote(text) || e.Advice == "" {
			t.Errorf("ParseKey(%q) = %d, %v, want %v", text, got, err, want)
		}
	}
}

func TestKeyString(t *testing.T) {
	for key, want := range map[Key]string{0: "0x0", 0x1234: "0x1234", -1: "0xffffffff", math.MinInt32: "0x80000000"} {
		if got := key.String(); got != want {
			t.Errorf("%d is %q, want %q", int32(key), got, want)
		}
		if back, err := ParseKey(want); err != nil || back != key {
			t.Errorf("ParseKey(%q) = %v, %v", want, back, err)
		}
	}
}

func TestFtokBits(t *testing.T) {
	for _, c := range []struct {
		ino, dev uint64
		proj     byte
		want     uint32
	}{
		{0xabcd1234, 0xfe05, 'A', 0x41051234},
		{0, 0, 0, 0},
		{math.MaxUint64, math.MaxUint64, 0xff, 0xffffffff},
	} {
		if got := ftok(c.ino, c.dev, c.proj); uint32(got) != c.want {
			t.Errorf("inode %#x, device %#x, project %#x: %v, want %#x", c.ino, c.dev, c.proj, got, c.want)
		}
	}
}
