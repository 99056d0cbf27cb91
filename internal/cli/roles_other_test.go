//go:build !linux

package cli

var roles = map[string]func(args []string) int{"shoal": func([]string) int { return Main() }}
