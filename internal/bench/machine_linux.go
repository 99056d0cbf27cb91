//go:build linux && (amd64 || arm64)

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// place is where the processes run.
type place struct {
	usable   int
	apart    []int // two processors: the best there are for two processes; none if there is one
	siblings bool  // they are hardware threads of one core
	threads  int   // of a core
}

// findPlace looks for two cores. Hardware threads of one core share its caches and
// its units: that is another measurement.
func findPlace() *place {
	p := &place{threads: 1}
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return p
	}
	var cpus []int
	for cpu := range 8 * len(set) * 8 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	p.usable = len(cpus)
	if len(cpus) < 2 {
		return p
	}
	mine := siblingsOf(cpus[0])
	p.threads = len(mine)
	other := slices.IndexFunc(cpus[1:], func(cpu int) bool { return !slices.Contains(mine, cpu) })
	p.siblings = other < 0
	p.apart = []int{cpus[0], cpus[1+max(other, 0)]}
	return p
}

// siblingsOf returns the hardware threads of a processor's core, itself included.
func siblingsOf(cpu int) (siblings []int) {
	text := read(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	for part := range strings.SplitSeq(text, ",") { // "0,64" or "0-1"
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			last, _ = strconv.Atoi(to)
		}
		for n := first; n <= last && n-first < 1024; n++ {
			siblings = append(siblings, n)
		}
	}
	if len(siblings) == 0 {
		siblings = []int{cpu}
	}
	return siblings
}

// cpus are where a process of a measurement runs. What sleeps is pinned to a core.
// What spins is confined to the two, and finds one each: Shoal does not spin in a
// process that has one processor.
func (p *place) cpus(m measure, process int) []int {
	switch {
	case len(p.apart) == 0:
		return nil
	case m.structural() && m != parked:
		return p.apart
	}
	return p.apart[process : process+1]
}

func (p *place) machine(o Options, l *limiter) Machine {
	m := Machine{
		CPU:    cpuModel(),
		Cores:  fmt.Sprintf("%d usable, %d hardware thread(s) a core", p.usable, p.threads),
		Kernel: kernel(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Method:    "latency is half a round trip over two rings, as the limit's is over two lines; what the clock costs is taken off",
		Frequency: frequency(), Limits: "not measured", Rounds: o.Rounds, Time: o.Time.String(), Caveats: []string{},
	}
	if l != nil {
		m.Limits = l.found
	}
	switch {
	case len(p.apart) == 0:
		m.Pinning = "none"
		m.Caveats = append(m.Caveats, "one processor: two processes take turns, and nobody can spin")
	default:
		m.Pinning = fmt.Sprintf("limits and parked: one process on CPU %d, one on %d; others: both confined to these two",
			p.apart[0], p.apart[1])
	}
	if p.siblings {
		m.Caveats = append(m.Caveats, "the two processors are hardware threads of one core: they share its caches and its units")
	}
	if l != nil && l.program == nil {
		m.Caveats = append(m.Caveats, "the limits are those of Go programs, not of C ones: "+l.found)
	}
	return m
}

// noisy is the spread from which a result is not to be trusted.
const noisy = 0.3

// restless says which results differ too much between the rounds.
func restless(results []Result) []string {
	var names []string
	for _, r := range results {
		if r.Spread > noisy {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("noisy: the rounds differ by more than %d%% for %s", int(noisy*100), strings.Join(names, ", "))}
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func cpuModel() string {
	for text := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(text, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown (" + runtime.GOARCH + ")"
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	text := unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	if strings.Contains(read("/proc/cpuinfo"), "hypervisor") {
		text += ", in a virtual machine"
	}
	return text
}

// frequency tells how the clock of the processors is governed.
func frequency() string {
	governors := map[string]bool{}
	found, _ := filepath.Glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
	for _, path := range found {
		governors[read(path)] = true
	}
	text := "no scaling in sight"
	if len(governors) > 0 {
		var names []string
		for name := range governors {
			names = append(names, name)
		}
		slices.Sort(names)
		text = "governor " + strings.Join(names, ", ")
	}
	switch {
	case read("/sys/devices/system/cpu/intel_pstate/no_turbo") == "0", read("/sys/devices/system/cpu/cpufreq/boost") == "1":
		text += ", turbo on"
	case read("/sys/devices/system/cpu/intel_pstate/no_turbo") == "1", read("/sys/devices/system/cpu/cpufreq/boost") == "0":
		text += ", turbo off"
	}
	return text
}
