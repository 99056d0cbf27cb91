//go:build !(linux && (amd64 || arm64))

package bench

func director() {}
