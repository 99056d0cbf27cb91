//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// source is the directory of this module.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	if _, err := os.Stat(file); err == nil {
		return filepath.Dir(file)
	}
	return "." // built with -trimpath
}

// versions are those of what is measured and what it is built with.
func versions(ctx context.Context, dir string) map[string]string {
	v := map[string]string{"Go": runtime.Version()}
	for name, command := range map[string]string{"C": "cc --version", "C++": "c++ --version", "Rust": "rustc --version",
		"Redis": "redis-server --version", "Java": "java --version"} {
		words := strings.Fields(command)
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).Output(); err == nil {
			v[name], _, _ = strings.Cut(string(out), "\n")
		}
	}
	for name, find := range map[string][2]string{
		"iceoryx2":    {filepath.Join(dir, "iceoryx2", "Cargo.toml"), `iceoryx2 = "=([^"]*)"`},
		"Aeron":       {filepath.Join(dir, "aeron", "pom.xml"), `<version>([0-9]+\.[^<]*)</version>`},
		"NATS server": {filepath.Join(dir, "go.mod"), `nats-server/v2 v(\S+)`},
		"NATS client": {filepath.Join(dir, "go.mod"), `nats\.go v(\S+)`},
		"go-redis":    {filepath.Join(dir, "go.mod"), `go-redis/v9 v(\S+)`},
		"Boost":       {"/usr/include/boost/version.hpp", `BOOST_LIB_VERSION "([^"]*)"`},
	} {
		if text, err := os.ReadFile(find[0]); err == nil {
			if m := regexp.MustCompile(find[1]).FindSubmatch(text); m != nil {
				v[name] = strings.ReplaceAll(string(m[1]), "_", ".")
			}
		}
	}
	return v
}
