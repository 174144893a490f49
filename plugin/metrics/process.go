package metrics

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/plugin/exposition"
)

// Process is what there is to tell of the process itself.
type Process struct {
	Started    time.Time
	Version    string
	GoVersion  string
	Goroutines int
	// Resident is memory in bytes, CPU the time that was used.
	Resident uint64
	CPU      time.Duration
}

// Self returns what there is to tell of this process.
func Self(started time.Time) (Process, error) {
	p := Process{Started: started, Goroutines: runtime.NumGoroutine(), GoVersion: runtime.Version(), Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		p.Version = info.Main.Version
	}
	var usage syscall.Rusage
	cpuErr := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	p.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	var memErr error
	p.Resident, memErr = resident()
	return p, errors.Join(cpuErr, memErr)
}

// resident returns the resident memory in bytes (proc_pid_statm(5)).
func resident() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read /proc/self/statm: %q has no second field", text)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

func ofProcess(s Snapshot) []exposition.Family {
	p := s.Process
	build := gauge("ndp6_build_info", "1, with the versions of ndp6 and of Go.", "version", "goversion")
	build.Series = []exposition.Series{{Values: []string{p.Version, p.GoVersion}, Value: 1}}
	return []exposition.Family{
		build,
		only(gauge("ndp6_start_time_seconds", "When the process started, since the epoch."), seconds(p.Started)),
		only(counter("ndp6_cpu_seconds_total", "CPU time that the process used."), p.CPU.Seconds()),
		only(gauge("ndp6_resident_memory_bytes", "Resident memory of the process."), p.Resident),
		only(gauge("ndp6_goroutines", "Goroutines of the process."), p.Goroutines),
		only(counter("ndp6_scrape_errors_total", "Scrapes for which a part of the metrics could not be read."), s.Errors),
	}
}

// seconds is a moment as Prometheus counts it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
