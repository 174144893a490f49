package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix" //nolint:depguard // The load itself is system calls.
)

// twoCPUs returns the first two CPUs that this process may use.
func twoCPUs() ([2]int, error) {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return [2]int{}, fmt.Errorf("list CPUs: %w", err)
	}
	var cpus []int
	for cpu := 0; cpu < 1024 && len(cpus) < 2; cpu++ {
		if may.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	if len(cpus) < 2 {
		return [2]int{}, errors.New("measuring a path takes two CPUs")
	}
	return [2]int(cpus), nil
}

// bind keeps the calling thread on a CPU.
func bind(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to CPU %d: %w", cpu, err)
	}
	return nil
}

// goFirst puts the calling thread before all others of its CPU.
func goFirst() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -20); err != nil {
		return fmt.Errorf("set the priority: %w", err)
	}
	return nil
}

// cpuTime is the time that the calling thread has had, what the kernel did for
// packets meanwhile included.
func cpuTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // It exists since Linux 2.6.12.
	return time.Duration(t.Nano())
}
