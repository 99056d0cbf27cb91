package archtest

import (
	"path/filepath"
	"strings"
)

// platforms are those for which every package must compile. What cannot work on one of them says so at run time.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"}

// checkPlatforms finds packages that do not compile on one of the platforms, in pure Go, and what go vet finds there: all
// of it, not the part that go test runs, and in tests too. Vet comes after the build, since it uses what that has compiled,
// and only if there is something to add. One platform follows the other: each takes all processors.
func checkPlatforms(m *module) (wrong []string) {
	for _, platform := range platforms {
		goos, goarch, _ := strings.Cut(platform, "/")
		for _, verb := range []string{"build", "vet"} {
			if _, err := command(m.dir, []string{"GOOS=" + goos, "GOARCH=" + goarch}, "go", verb, "./..."); err != nil {
				wrong = append(wrong, platform+": go "+verb+": "+err.Error())
				break
			}
		}
	}
	return wrong
}

// checkStatic finds what staticcheck finds. The version is pinned in tools/go.mod, which users of the library do not see.
func checkStatic(m *module) (wrong []string) {
	tools, err := filepath.Abs("../../tools/go.mod")
	if err == nil {
		_, err = command(m.dir, nil, "go", "tool", "-modfile="+tools, "staticcheck", "./...")
	}
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}
