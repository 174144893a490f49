package responder

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// ErrUnavailable is wrapped by errors of Available and New about a kernel that
// does not run the program, or not for this process.
var ErrUnavailable = errors.New("the kernel does not run the responder")

// Available says why the kernel does not run the program here: its version, a
// capability that lacks, a policy. It is nil where it does. It takes some
// milliseconds and leaves nothing behind.
func Available() error {
	var objects programObjects
	if err := load(&objects); err != nil {
		return err
	}
	return objects.Close()
}

// load loads the program and its tables.
func load(objects *programObjects) error {
	// Before 5.11 tables count as locked memory. Where the limit stays, the kernel's own error says the rest.
	limit := rlimit.RemoveMemlock()
	err := loadProgramObjects(objects, nil)
	if err == nil {
		return nil
	}
	var name unix.Utsname
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if e := errors.Join(unix.Uname(&name), unix.Capget(&header, &data[0])); e != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(err, e))
	}
	caps := uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	if why := lacks(unix.ByteSliceToString(name.Release[:]), caps); why != "" {
		return fmt.Errorf("%w: %s", ErrUnavailable, why)
	}
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: it was built without CONFIG_BPF_SYSCALL", ErrUnavailable)
	case errors.Is(err, unix.EPERM) && limit != nil:
		return fmt.Errorf("%w: raise the limit of locked memory (LimitMEMLOCK=infinity): %w", ErrUnavailable, limit)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: a policy forbids bpf(2), such as seccomp, lockdown or a security module: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// lacks says what a process with these capabilities on this release of Linux
// lacks to load the program, empty if nothing.
func lacks(release string, caps uint64) string {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return "" // The kernel itself will say.
	}
	has := func(bit int) bool { return caps>>bit&1 == 1 }
	switch {
	case major < 5 || major == 5 && minor < 4:
		return fmt.Sprintf("Linux %s is too old: 5.4 or later is right", release)
	case !has(unix.CAP_NET_ADMIN):
		return "the process lacks CAP_NET_ADMIN"
	case has(unix.CAP_SYS_ADMIN):
		return ""
	case major == 5 && minor < 8:
		return fmt.Sprintf("the process lacks CAP_SYS_ADMIN, which Linux before 5.8 wants for bpf(2) (this is %s)", release)
	case !has(unix.CAP_BPF):
		return "the process lacks CAP_BPF (or CAP_SYS_ADMIN)"
	}
	return ""
}
