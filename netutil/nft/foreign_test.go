package nft_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
)

const acceptRule = "-A FORWARD -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT\n"

func TestAcceptAsIptablesSeesIt(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	ensure := func() {
		t.Helper()
		if _, err := c.Ensure(sample()); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when, tables, want string) {
		t.Helper()
		if diff := cmp.Diff(want, nettest.Run(t, tables+" -S FORWARD")); diff != "" {
			t.Errorf("%s, %s:\n%s", when, tables, diff)
		}
	}
	ensure()
	if out := nettest.Run(t, "nft list tables"); out != "table inet ndp6\n" {
		t.Errorf("tables where nobody uses iptables:\n%s", out)
	}

	for _, tables := range []string{"ip6tables-nft", "iptables-nft"} {
		nettest.Run(t, tables+" -P FORWARD DROP")
		ensure()
		expect("chain made later", tables, "-P FORWARD DROP\n"+acceptRule)

		nettest.Run(t, tables+" -A FORWARD -i lo -j ACCEPT")
		ensure()
		want := "-P FORWARD DROP\n-A FORWARD -i lo -j ACCEPT\n" + acceptRule
		expect("another rule after it", tables, want)

		restore(t, tables, nettest.Run(t, tables+"-save")+nettest.Run(t, tables+"-save"))
		ensure()
		expect("saved and restored", tables, want)
	}
}

// TestAcceptBehindAdministrator puts a rule for established flows where Docker's
// networks have theirs, and not before what the administrator says.
func TestAcceptBehindAdministrator(t *testing.T) {
	const early = "-A FORWARD -m mark --mark 0x10000000/0x10000000 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment ndp6 -j ACCEPT\n"
	for _, tables := range []string{"ip6tables-nft", "iptables-nft"} {
		t.Run(tables, func(t *testing.T) {
			nettest.Enter(t)
			c := open(t)
			run := func(lines ...string) {
				t.Helper()
				for _, line := range lines {
					nettest.Run(t, tables+" "+line)
				}
			}
			expect := func(when, want string) {
				t.Helper()
				if _, err := c.Ensure(sample()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff("-P FORWARD ACCEPT\n"+want, nettest.Run(t, tables+" -S FORWARD")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", when, diff)
				}
				if changed, err := c.Ensure(sample()); err != nil || changed {
					t.Errorf("%s, again: changed %t, %v", when, changed, err)
				}
			}
			const user, forward = "-A FORWARD -j DOCKER-USER\n", "-A FORWARD -j DOCKER-FORWARD\n"
			run("-N DOCKER-USER", "-N DOCKER-FORWARD", "-A FORWARD -j DOCKER-FORWARD")
			expect("before", forward+acceptRule)
			run("-I FORWARD -j DOCKER-USER")
			expect("Docker starts", user+early+forward+acceptRule)
			run("-D FORWARD -j DOCKER-FORWARD", "-I FORWARD -j DOCKER-FORWARD", "-D FORWARD -j DOCKER-USER", "-I FORWARD -j DOCKER-USER")
			expect("Docker starts again", user+early+forward+acceptRule)
			run("-I FORWARD -i lo -j ACCEPT", "-A FORWARD -i lo -j ACCEPT")
			expect("others add rules", "-A FORWARD -i lo -j ACCEPT\n"+user+early+forward+"-A FORWARD -i lo -j ACCEPT\n"+acceptRule)
			run("-D FORWARD -i lo -j ACCEPT", "-D FORWARD -i lo -j ACCEPT", "-D FORWARD -j DOCKER-FORWARD")
			restore(t, tables, nettest.Run(t, tables+"-save"))
			expect("saved and restored", user+early+acceptRule)
			run("-D FORWARD -j DOCKER-USER", "-I FORWARD -i lo -j DOCKER-USER")
			expect("the administrator is asked about some only", "-A FORWARD -i lo -j DOCKER-USER\n"+acceptRule)
			if err := c.Remove(); err != nil {
				t.Fatal(err)
			}
			if got := nettest.Run(t, tables+" -S FORWARD"); got != "-P FORWARD ACCEPT\n-A FORWARD -i lo -j DOCKER-USER\n" {
				t.Errorf("removed:\n%s", got)
			}
		})
	}
}

func restore(tb testing.TB, tables, saved string) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "saved")
	if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(tables+"-restore", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s\n%s", err, out, strings.TrimSpace(saved))
	}
}
