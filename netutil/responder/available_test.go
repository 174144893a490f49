package responder_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

func TestAvailable(t *testing.T) {
	nettest.Enter(t)
	if err := responder.Available(); err != nil {
		nettest.Unavailable(t, err.Error())
	}
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
		if got := responder.Lacks(c.release, c.caps); got != c.want {
			t.Errorf("Lacks(%q, %x): want %q, got %q", c.release, c.caps, c.want, got)
		}
	}
}

// TestCapabilities runs this test in a process that has just what is asked for, and less.
func TestCapabilities(t *testing.T) {
	if want, ok := os.LookupEnv("NDP6_RESPONDER_WANT"); ok {
		err := responder.Available()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Fatalf("want %q, got %v", want, err)
		}
		return
	}
	nettest.Enter(t)
	if err := responder.Available(); err != nil {
		nettest.Unavailable(t, err.Error())
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for caps, want := range map[string]string{
		"net_admin,bpf":       "",
		"net_admin,sys_admin": "",
		"net_admin":           "lacks CAP_BPF",
		"bpf":                 "lacks CAP_NET_ADMIN",
	} {
		bounding := "-all,+" + strings.ReplaceAll(caps, ",", ",+")
		// Root has what the bounding set leaves.
		cmd := exec.Command("setpriv", "--bounding-set", bounding, exe, "-test.run", "^TestCapabilities$")
		cmd.Env = append(os.Environ(), "NDP6_RESPONDER_WANT="+want)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", caps, err, out)
		}
	}
}
