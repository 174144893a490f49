package tc_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/tc"
)

func TestLacks(t *testing.T) {
	all := uint64(1)<<41 - 1
	without := func(bits ...int) uint64 {
		caps := all
		for _, b := range bits {
			caps &^= 1 << b
		}
		return caps
	}
	for _, c := range []struct {
		release string
		caps    uint64
		want    string
	}{
		{"6.12.1-amd64", all, ""},
		{"5.4.0", all, ""},
		{"5.3.18-lp152", all, "Linux 5.3.18-lp152 is too old: 5.4 or later is right"},
		{"4.18.0-553.el8", all, "Linux 4.18.0-553.el8 is too old: 5.4 or later is right"},
		{"6.12.1", without(unix.CAP_SYS_ADMIN), ""},
		{"6.12.1", without(unix.CAP_BPF), ""},
		{"6.12.1", without(unix.CAP_BPF, unix.CAP_SYS_ADMIN), "the process lacks CAP_BPF (or CAP_SYS_ADMIN)"},
		{"6.12.1", without(unix.CAP_NET_ADMIN), "the process lacks CAP_NET_ADMIN"},
		{"5.4.0", without(unix.CAP_SYS_ADMIN), "the process lacks CAP_SYS_ADMIN, which Linux before 5.8 wants for bpf(2) (this is 5.4.0)"},
		{"strange", 0, ""},
	} {
		if got := tc.Lacks(c.release, c.caps, tc.Release{Major: 5, Minor: 4}); got != c.want {
			t.Errorf("Lacks(%q, %x): want %q, got %q", c.release, c.caps, c.want, got)
		}
	}
}
