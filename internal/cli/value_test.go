package cli

import (
	"math"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "64KiB": 64 << 10, "1GiB": 1 << 30, "1.5GiB": 3 << 29, "10MB": 10e6, "4k": 4000,
		"1 MiB": 1 << 20, "9223372036854775807": math.MaxInt64, "7EiB": 7 << 60,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "-1", "-1KiB", " -5", "x", "1x", "1KiB2", "0x10", "1e3", "+1", "NaN", "Inf", "..", "1.2.3",
		"9223372036854775808", "8EiB", "99999999999999999999", "1\x00"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d; want an error", text, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil && n < 0 {
			t.Errorf("parseSize(%q) = %d", text, n)
		}
	})
}

func TestMode(t *testing.T) {
	for text, want := range map[string]mode{"0600": 0o600, "666": 0o666, "0o640": 0o640, "1": 1} {
		var m mode
		if err := m.Set(text); err != nil || m != want {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "0", "rw", "0888", "1777", "-1", "0x1ff", "77777777777777777777"} {
		var m mode
		if err := m.Set(text); err == nil {
			t.Errorf("%q: %v; want an error", text, m)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"/plain-name": "/plain-name", "Grüße": "Grüße", `a"b\c`: `a"b\c`,
		"a\x1b[31mb": `a\x1b[31mb`, "a\nb": `a\nb`, "\xff": `\xff`, "a\u202eb": `a\u202eb`, "\"\x07": `"\a`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q; want %q", in, got, want)
		}
	}
	if got := printableLines("a\x07\nb"); got != "a\\a\nb" {
		t.Errorf("lines: %q", got)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 3 * time.Hour: "3h",
		47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	var small uint32
	var whole int
	for _, c := range []struct {
		flag interface{ Set(string) error }
		text string
		want string // of the error
	}{
		{number[uint32]{&small, 0}, "4294967295", ""},
		{number[uint32]{&small, 0}, "4294967296", `"4294967296" is too large`},
		{number[uint32]{&small, 0}, "-1", `"-1" is no whole number of at least 0`},
		{number[int]{&whole, 1}, "9223372036854775807", ""},
		{number[int]{&whole, 1}, "9223372036854775808", `"9223372036854775808" is too large`},
		{number[int]{&whole, 1}, "99999999999999999999", `"99999999999999999999" is too large`},
		{number[int]{&whole, 1}, "0", `"0" is no whole number of at least 1`},
		{number[int]{&whole, 1}, "1.5", `"1.5" is no whole number of at least 1`},
		{number[int]{&whole, 1}, "1", ""},
	} {
		got := ""
		if err := c.flag.Set(c.text); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q; want %q", c.text, got, c.want)
		}
	}
	if small != 4294967295 || whole != 1 {
		t.Errorf("set to %d and %d; want 4294967295 and 1", small, whole)
	}
}
