package report_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
)

// TestWidth: tables of the longest that there can be have 100 columns. The
// scripts of plugin/cmd/ndp6 have what they say.
func TestWidth(t *testing.T) {
	now := time.Unix(2_000_000_000, 0)
	prefix, addr := netip.MustParsePrefix("2001:db8:1111:2222:3333:4444:5555:6660/124"), netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	long := strings.Repeat("production-frontend-", 10)
	s := admin.Status{
		Time: now,
		Status: driver.Status{
			Networks: []driver.NetworkStatus{{
				ID: strings.Repeat("4f1c2a9b", 8), Name: long, Bridge: "nd-4f1c2a9b4f1c", UplinkOption: "providerbridge0",
				Mode: plan.Isolated, Reason: strings.Repeat("for a reason that takes long, ", 9), ProxyEntries: 1_000_000,
				Pools: []driver.PoolStatus{{Prefix: prefix, Gateway: addr, Outside: []netip.Prefix{prefix}}},
			}},
			Endpoints: []driver.EndpointStatus{{
				ID: strings.Repeat("9a6c1f20", 8), Network: strings.Repeat("4f1c2a9b", 8), Name: long, State: driver.Withdrawn,
				JoinedAt:  now.AddDate(-2, 0, 0),
				Addresses: []driver.AddressStatus{{Addr: addr, Origin: plan.Outside, Deprecated: true}},
				Ports:     []driver.PortStatus{{Proto: "sctp", Port: 65535, Direct: true, HostAddr: addr, HostPort: 65535}},
			}},
		},
		Pools: []ipam.PoolStatus{{Prefix: prefix, Source: "uplink", Reason: strings.Repeat("because of something, ", 20), Leases: 15, Capacity: 15}},
	}
	var b strings.Builder
	if err := report.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	widest := 0
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		n := utf8.RuneCountInString(line)
		if widest = max(widest, n); n > 100 || strings.TrimRight(line, " ") != line {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if widest < 95 {
		t.Errorf("the widest line has %d columns, and there is room for 100", widest)
	}
}

// TestShared says that nodes of a swarm have addresses of the same pool.
func TestShared(t *testing.T) {
	s := admin.Status{Status: driver.Status{Networks: []driver.NetworkStatus{
		{ID: "web", Bridge: "nd-web", Uplink: "eth0", Mode: plan.Routed, Reason: "option ndp6.mode", Shared: true, ProxyEntries: 2},
	}}}
	var b strings.Builder
	if err := report.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	if want := "mode routed, 2 proxy entries, shared in a swarm: option ndp6.mode"; !strings.Contains(b.String(), want) {
		t.Errorf("no line %q:\n%s", want, b.String())
	}
}
