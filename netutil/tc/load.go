package tc

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// A Release is one of Linux.
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

func (r Release) before(o Release) bool {
	return r.Major < o.Major || r.Major == o.Major && r.Minor < o.Minor
}

// Load calls load, which loads programs that need Linux since, and tables. An
// error says why the kernel takes them not, or not from this process: its
// version, a capability that lacks, a policy.
func Load(since Release, load func() error) error {
	// Before 5.11 tables count as locked memory. Where the limit stays, the kernel's own error says the rest.
	limit := rlimit.RemoveMemlock()
	err := load()
	if err == nil {
		return nil
	}
	var name unix.Utsname
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if e := errors.Join(unix.Uname(&name), unix.Capget(&header, &data[0])); e != nil {
		return errors.Join(err, e)
	}
	caps := uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	if why := lacks(unix.ByteSliceToString(name.Release[:]), caps, since); why != "" {
		return errors.New(why)
	}
	switch {
	case errors.Is(err, unix.ENOSYS):
		return errors.New("it was built without CONFIG_BPF_SYSCALL")
	case errors.Is(err, unix.EPERM) && limit != nil:
		return fmt.Errorf("raise the limit of locked memory (LimitMEMLOCK=infinity): %w", limit)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("a policy forbids bpf(2), such as seccomp, lockdown or a security module: %w", err)
	}
	return err
}

// lacks says what a process with these capabilities on this release of Linux
// lacks to load programs that need Linux since, empty if nothing.
func lacks(release string, caps uint64, since Release) string {
	var is Release
	if n, _ := fmt.Sscanf(release, "%d.%d", &is.Major, &is.Minor); n < 2 {
		return "" // The kernel itself will say.
	}
	has := func(bit int) bool { return caps>>bit&1 == 1 }
	switch {
	case is.before(since):
		return fmt.Sprintf("Linux %s is too old: %s or later is right", release, since)
	case !has(unix.CAP_NET_ADMIN):
		return "the process lacks CAP_NET_ADMIN"
	case has(unix.CAP_SYS_ADMIN):
		return ""
	case is.before(Release{5, 8}):
		return fmt.Sprintf("the process lacks CAP_SYS_ADMIN, which Linux before 5.8 wants for bpf(2) (this is %s)", release)
	case !has(unix.CAP_BPF):
		return "the process lacks CAP_BPF (or CAP_SYS_ADMIN)"
	}
	return ""
}
