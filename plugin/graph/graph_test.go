package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/golden"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/graph"
)

type drawing func(io.Writer, admin.Status) error

func draw(t *testing.T, d drawing, s admin.Status) string {
	t.Helper()
	var b bytes.Buffer
	if err := d(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden draws the host of the README's picture.
func TestGolden(t *testing.T) {
	f, err := os.Open("testdata/host.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := admin.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for file, d := range map[string]drawing{"host.svg": graph.SVG, "host.mmd": graph.Mermaid} {
		t.Run(file, func(t *testing.T) {
			golden.Expect(t, filepath.Join("testdata", file), draw(t, d, s))
		})
	}
}

// A crowd is a status to draw.
type crowd struct {
	name                string
	networks, endpoints int
	long                bool // names, addresses, ports, findings: as many as can be
}

func crowds() []crowd {
	return []crowd{
		{name: "nothing"},
		{name: "network without endpoints", networks: 1},
		{name: "1", networks: 1, endpoints: 1},
		{name: "3", networks: 2, endpoints: 3},
		{name: "30", networks: 3, endpoints: 30},
		{name: "300", networks: 4, endpoints: 300},
		{name: "300 on 100 networks", networks: 100, endpoints: 300},
		{name: "10000", networks: 11, endpoints: 10_000},
		{name: "long names", networks: 1, endpoints: 1, long: true},
		{name: "30 long names", networks: 7, endpoints: 30, long: true},
		{name: "300 long names", networks: 7, endpoints: 300, long: true},
	}
}

func (c crowd) status() admin.Status {
	s := admin.Status{Schema: admin.Schema, Time: time.Unix(2_000_000_000, 0)}
	modes := []plan.Mode{plan.Routed, plan.NAT, plan.NPTv6, plan.Isolated, "of another version"}
	states := []driver.State{driver.Running, driver.Created, driver.Starting, driver.Withdrawn, driver.Failing, "of another version"}
	for i := range c.networks {
		n := driver.NetworkStatus{
			ID: fmt.Sprintf("%064x", i), Name: fmt.Sprintf("net%d", i), Bridge: fmt.Sprintf("nd-%012x", i), Uplink: "eth0",
			Mode: plan.Routed, Reason: "pool is global", ProxyEntries: 3,
			Pools: []driver.PoolStatus{{Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8:1:0:%x::/80", i+1))}},
		}
		if c.long {
			n.Name = strings.Repeat("WebFrontend", 20) + n.Name + `<&"'>`
			n.Uplink = fmt.Sprintf("provider-wan-%02d", i)
			n.Mode, n.Internal, n.Inbound = modes[i%len(modes)], i%len(modes) == 3, "open"
			n.Reason = strings.Repeat("because it has to be said at length ", 20)
			longest := netip.MustParsePrefix("2001:db8:1111:2222:3333:4444:5555:6666/126")
			for range 4 {
				n.Pools = append(n.Pools, driver.PoolStatus{Prefix: longest, Outside: []netip.Prefix{longest, longest, longest}})
			}
			s.Warnings = append(s.Warnings, driver.Warning{Owner: n.ID, Text: strings.Repeat("prefix is gone ", 30)})
			s.Problems = append(s.Problems, driver.ProblemStatus{Owner: n.ID, Error: strings.Repeat("no such device\n", 30)})
			s.Drift = append(s.Drift, "add neigh proxy 2001:db8:1111:2222:3333:4444:5555:6666 dev "+n.Uplink)
			s.Drops = append(s.Drops, admin.Drop{Reason: strings.Repeat("martian ", 20), Packets: 1 << 63})
		}
		s.Networks = append(s.Networks, n)
	}
	for i := range c.endpoints {
		e := driver.EndpointStatus{
			ID: fmt.Sprintf("%064x", i), Network: s.Networks[i%c.networks].ID, Name: fmt.Sprintf("c%d", i), State: driver.Running,
			JoinedAt:  s.Time.Add(-time.Duration(i) * time.Minute),
			Addresses: []driver.AddressStatus{{Addr: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), Origin: plan.Given}},
		}
		if c.long {
			e.Name = strings.Repeat("Wide-Container_", 20) + fmt.Sprint(i)
			e.State, e.JoinedAt = states[i%len(states)], s.Time.Add(-9999*24*time.Hour)
			if e.Inbound = "published"; i%2 == 0 {
				e.Inbound = "open"
			}
			addr := netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:7777")
			for range 9 {
				e.Addresses = append(e.Addresses, driver.AddressStatus{Addr: addr, Origin: plan.Outside, Deprecated: true})
			}
			for port := range uint16(30) {
				e.Ports = append(e.Ports, driver.PortStatus{Proto: "sctp", Port: 65000 + port, Direct: true, HostAddr: addr, HostPort: 65100 + port})
			}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// TestJSON: a status is drawn the same after it was kept as JSON.
func TestJSON(t *testing.T) {
	s := crowd{networks: 5, endpoints: 30, long: true}.status()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := admin.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(draw(t, graph.SVG, s), draw(t, graph.SVG, kept)); diff != "" {
		t.Errorf("-made +kept:\n%s", diff)
	}
}
