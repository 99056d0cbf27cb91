//go:build !linux

package cli

func processUser(int, userNames) string { return "" }
