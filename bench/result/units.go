package result

import "fmt"

// Nanoseconds writes a time with three digits: "152 ns", "1.52 µs", "15.2 ms".
func Nanoseconds(ns float64) string {
	for _, unit := range []string{"ns", "µs", "ms"} {
		if ns < 999.5 {
			return digits(ns) + " " + unit
		}
		ns /= 1000
	}
	return digits(ns) + " s"
}

// Rate writes a rate with three digits: "31.4 M/s".
func Rate(n float64) string {
	for _, unit := range []string{"/s", " k/s", " M/s"} {
		if n < 999.5 {
			return digits(n) + unit
		}
		n /= 1000
	}
	return digits(n) + " G/s"
}

// Bytes writes a size: "1.05 MiB".
func Bytes(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if n < 1024 {
			return digits(n) + " " + unit
		}
		n /= 1024
	}
	return digits(n) + " GiB"
}

// Text writes a value of a unit.
func Text(v float64, unit string) string {
	switch unit {
	case "ns":
		return Nanoseconds(v)
	case "/s":
		return Rate(v)
	case "bytes":
		return Bytes(v)
	}
	return fmt.Sprintf("%.0f", v)
}

// digits writes a number with three digits, or more before the point; none behind it if
// it is whole.
func digits(n float64) string {
	switch {
	case n == float64(int64(n)):
		return fmt.Sprintf("%.0f", n)
	case n < 9.995:
		return fmt.Sprintf("%.2f", n)
	case n < 99.95:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
