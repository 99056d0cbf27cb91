//go:build !linux

package inspect

func posixQueues() []Object { return nil }
