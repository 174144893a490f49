package fastpath_test

import (
	"os"
	"testing"

	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestCapabilities runs this test in a process that has just what is asked for.
func TestCapabilities(t *testing.T) {
	const confined = "NDP6_FASTPATH_CONFINED"
	if os.Getenv(confined) == "1" {
		if err := fastpath.Available(); err != nil {
			t.Fatal(err)
		}
		return
	}
	nettest.Enter(t)
	if err := fastpath.Available(); err != nil {
		nettest.Unavailable(t, err.Error())
	}
	nettest.WithCapabilities(t, "net_admin,bpf", confined+"=1")
}
