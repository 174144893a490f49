package lab_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestAdvertise has a node take its address from one prefix, then from another.
func TestAdvertise(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests in a lab")
	}
	l := newLab(t)
	node, err := l.AddNode(t.Context(), "node", 20)
	if err != nil {
		t.Fatal(err)
	}
	// Linux passes over an advertisement whose default route is there already.
	if err := node.IP(t.Context(), "route del default via "+lab.RouterLLA+" dev eth0"); err != nil {
		t.Fatal(err)
	}
	var radvd *lab.Radvd
	for _, prefix := range []string{"2001:db8:f1::/64", "2001:db8:f2::/64"} {
		p := netip.MustParsePrefix(prefix)
		start := time.Now()
		adverts, err := node.Tap("eth0", lab.IsAdvertisementOf(p))
		if err != nil {
			t.Fatal(err)
		}
		advertised := lab.Advertised{Prefix: p, Valid: time.Minute, Preferred: time.Minute}
		if radvd == nil {
			radvd, err = l.Advertise(t.Context(), advertised)
		} else {
			err = radvd.Advertise(advertised)
		}
		if err != nil {
			t.Fatal(err)
		}
		addr := lab.SLAAC(p, 20)
		for {
			if _, err = node.Ping(t.Context(), addr, 100*time.Millisecond); err == nil && adverts.Seen() > 0 {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d advertisements of %s were seen: %v", adverts.Seen(), p, err)
			}
		}
		t.Logf("%s is an address of the node %s after the router was told of its prefix", addr, time.Since(start).Round(time.Millisecond))
		if err := adverts.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := radvd.Close(); err != nil {
		t.Error(err)
	}
}
