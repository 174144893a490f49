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
