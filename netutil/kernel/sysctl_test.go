package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func TestSysctl(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0.100 type bridge")
	const key = "net/ipv6/conf/eth0.100/accept_ra"
	if err := c.SetSysctl(key, "2"); err != nil {
		t.Fatal(err)
	}
	got, err := c.Sysctl(key)
	if err != nil || got != "2" {
		t.Errorf("Sysctl = %q, %v, want 2", got, err)
	}
	contains(t, nettest.Run(t, "sysctl net/ipv6/conf/eth0.100/accept_ra"), "= 2")
}

func TestSysctlErrors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	read := func(key string) error {
		_, err := c.Sysctl(key)
		return err
	}
	tests := []struct {
		name     string
		err      error
		want     string
		notFound bool
	}{
		{"no link", read("net/ipv6/conf/eth9/accept_ra"), "read sysctl net/ipv6/conf/eth9/accept_ra: not found", true},
		{"no sysctl", c.SetSysctl("net/ipv6/conf/lo/nothing", "1"), "write sysctl net/ipv6/conf/lo/nothing: not found", true},
		{"value", c.SetSysctl("net/ipv6/conf/lo/accept_ra", "no"), "write sysctl net/ipv6/conf/lo/accept_ra: invalid argument", false},
		{"out of the directory", read("net/ipv6/conf/../../../kernel/hostname"), "read sysctl net/ipv6/conf/../../../kernel/hostname: not a key like net/ipv6/conf/eth0/accept_ra", false},
		{"empty part", read("net//hostname"), "read sysctl net//hostname: not a key like net/ipv6/conf/eth0/accept_ra", false},
		{"not of the network", c.SetSysctl("kernel/hostname", "x"), "write sysctl kernel/hostname: not a key like net/ipv6/conf/eth0/accept_ra", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(test.err); got != test.want {
				t.Errorf("got error  %s\nwant error %s", got, test.want)
			}
			if got := errors.Is(test.err, kernel.ErrNotFound); got != test.notFound {
				t.Errorf("errors.Is(err, ErrNotFound) = %v, want %v", got, test.notFound)
			}
		})
	}
}

func TestSysctlDir(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	c.SysctlDir = t.TempDir()
	if err := c.SetSysctl("net/ipv6/forwarding", "1"); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("SetSysctl made a file: %v", err)
	}
	path := filepath.Join(c.SysctlDir, "ipv6", "forwarding")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("0\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Sysctl("net/ipv6/forwarding"); err != nil || got != "0" {
		t.Errorf("Sysctl = %q, %v, want 0", got, err)
	}
}
