package kernel_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var (
	bridgeMAC = inet.MAC{0x02, 0x42, 0, 0, 0, 0x01}
	peerMAC   = inet.MAC{0x02, 0x42, 0, 0, 0, 0x02}

	bridge = kernel.Bridge{Name: "nd0", Alias: "ndp6 network a", MTU: 1400, MAC: bridgeMAC}
	veth   = kernel.Veth{Name: "nv0", Alias: "ndp6 endpoint a", Peer: "np0", Master: "nd0", MTU: 1400, PeerMAC: peerMAC}
)

func TestAddBridge(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	want := kernel.Link{Name: "nd0", Kind: "bridge", Alias: bridge.Alias, MAC: bridgeMAC, MTU: 1400}
	for _, step := range []struct {
		name   string
		before []string
		up     bool
	}{
		{name: "first"},
		{name: "repeated"},
		{
			name:   "changed by others",
			before: []string{"ip link set nd0 mtu 1300 up", "ip link set nd0 type bridge mcast_snooping 1"},
			up:     true,
		},
	} {
		nettest.Run(t, step.before...)
		if err := c.AddBridge(bridge); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got, err := c.Link("nd0")
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want.Up = step.up
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(kernel.Link{}, "Index", "Running")); diff != "" {
			t.Errorf("%s: Link (-want +got):\n%s", step.name, diff)
		}
		contains(t, nettest.Run(t, "ip -d link show dev nd0"),
			"stp_state 0", "mcast_snooping 0", "addrgenmode none", "alias ndp6 network a")
	}
}

func TestAddVeth(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	if err := c.AddBridge(bridge); err != nil {
		t.Fatal(err)
	}
	want := []kernel.Link{
		{Name: "nd0", Kind: "bridge", Alias: bridge.Alias, MTU: 1400},
		{Name: "np0", Kind: "veth", MTU: 1400},
		{Name: "nv0", Kind: "veth", Alias: veth.Alias, MTU: 1400, Master: "nd0"},
	}
	for _, step := range []struct {
		name   string
		before []string
	}{
		{name: "first"},
		{name: "repeated"},
		{name: "changed by others", before: []string{"ip link set nv0 nomaster mtu 1300"}},
	} {
		nettest.Run(t, step.before...)
		if err := c.AddVeth(veth); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		links, err := c.Links()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := slices.DeleteFunc(links, func(l kernel.Link) bool { return l.Name == "lo" })
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(kernel.Link{}, "Index", "MAC")); diff != "" {
			t.Errorf("%s: Links (-want +got):\n%s", step.name, diff)
		}
		contains(t, nettest.Run(t, "ip -d link show dev nv0"), "addrgenmode none", "numtxqueues 1", "numrxqueues 1")
		contains(t, nettest.Run(t, "ip -d link show dev np0"), "addrgenmode eui64", "numtxqueues 1", peerMAC.String())
	}
}

// A pair that is made up and isolated never is a port that reaches others.
func TestAddVethUp(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	if err := c.AddBridge(bridge); err != nil {
		t.Fatal(err)
	}
	v := veth
	v.Isolated, v.Up = true, true
	for _, before := range [][]string{nil, nil, {"ip link set nv0 down", "bridge link set dev nv0 isolated off"}} {
		nettest.Run(t, before...)
		if err := c.AddVeth(v); err != nil {
			t.Fatal(err)
		}
		l, err := c.Link("nv0")
		if err != nil {
			t.Fatal(err)
		}
		if !l.Up || !l.Isolated || l.Master != "nd0" {
			t.Errorf("after %q: %+v", before, l)
		}
	}
}

// TestAddLinkKeepsOthers has names that are taken: whoever has them keeps them.
func TestAddLinkKeepsOthers(t *testing.T) {
	tests := []struct {
		name  string
		setup []string
		want  string
	}{
		{
			name:  "bridge of another",
			setup: []string{"ip link add nd0 type bridge", "ip link set nd0 alias theirs"},
			want:  `add bridge nd0: another link has this name (kind "bridge", alias "theirs"): rename or delete it`,
		},
		{
			name:  "another kind",
			setup: []string{"ip link add nd0 type veth peer name x"},
			want:  `add bridge nd0: another link has this name (kind "veth", alias ""): rename or delete it`,
		},
		{
			name: "host side of another",
			setup: []string{
				"ip link add nd0 type bridge", "ip link set nd0 alias a",
				"ip link add nv0 type bridge",
			},
			want: `add veth nv0 peer np0: another link has this name (kind "bridge", alias ""): rename or delete it`,
		},
		{
			name: "container side of another",
			setup: []string{
				"ip link add nd0 type bridge", "ip link set nd0 alias a",
				"ip link add np0 type bridge",
			},
			want: "add veth nv0 peer np0: file exists",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			nettest.Enter(t)
			c := open(t)
			nettest.Run(t, test.setup...)
			nettest.Run(t, "ip link add br9 type bridge")
			before := nettest.Run(t, "ip -d link")
			v := veth
			v.Master = "br9"
			err := c.AddBridge(bridge)
			if !strings.HasPrefix(test.want, "add bridge") {
				err = c.AddVeth(v)
			}
			if got := message(err); got != test.want {
				t.Errorf("got error  %s\nwant error %s", got, test.want)
			}
			if diff := cmp.Diff(before, nettest.Run(t, "ip -d link")); diff != "" {
				t.Errorf("links changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestChangeLink(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	if err := errors.Join(c.AddBridge(bridge), c.AddVeth(veth)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		change func() error
		link   string
		want   string // in the text of "ip -d link show"
	}{
		{"up", func() error { return c.SetUp("nv0", true) }, "nv0", "MULTICAST,UP"},
		{"down", func() error { return c.SetUp("nv0", false) }, "nv0", "state DOWN"},
		{"mtu", func() error { return c.SetMTU("nv0", 1350) }, "nv0", "mtu 1350"},
		{"MAC", func() error { return c.SetMAC("nv0", peerMAC) }, "nv0", "link/ether 02:42:00:00:00:02"},
		{"no master", func() error { return c.SetMaster("nv0", "") }, "nv0", "qdisc noqueue state DOWN"},
		{"master", func() error { return c.SetMaster("nv0", "nd0") }, "nv0", "master nd0"},
		{"snooping on", func() error { return c.SetMcastSnooping("nd0", true) }, "nd0", "mcast_snooping 1"},
		{"snooping off", func() error { return c.SetMcastSnooping("nd0", false) }, "nd0", "mcast_snooping 0"},
	} {
		for range 2 {
			if err := step.change(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			contains(t, nettest.Run(t, "ip -d link show dev "+step.link), step.want)
		}
	}
	for range 2 {
		if err := errors.Join(c.DeleteLink("nv0"), c.DeleteLink("nd0")); err != nil {
			t.Fatal(err)
		}
	}
	if links, err := c.Links(); err != nil || len(links) != 1 {
		t.Errorf("left: %v, %v", links, err)
	}
}

func TestLinkErrors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	_, missing := c.Link("eth9")
	_, badName := c.Link("../lo")
	tests := []struct {
		name     string
		err      error
		want     string
		notFound bool
	}{
		{"get", missing, `get link "eth9": not found`, true},
		{"bad name", badName, `get link "../lo": not a name of a link`, false},
		{"long name", c.DeleteLink("sixteen-octets-x"), `delete link "sixteen-octets-x": the name is longer than 15 octets`, false},
		{"up", c.SetUp("eth9", true), `set up link "eth9": not found`, true},
		{"mtu", c.SetMTU("eth9", 1400), `set mtu 1400 of link "eth9": not found`, true},
		{"master", c.SetMaster("lo", "eth9"), `set master of link "lo": link "eth9": not found`, true},
		{"veth without its bridge", c.AddVeth(veth), `add veth nv0 peer np0: master link "nd0": not found`, true},
		{"snooping of no bridge", c.SetMcastSnooping("lo", true), `set mcast_snooping of link "lo": operation not supported`, false},
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
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Links(); err == nil {
		t.Error("Links of a closed Conn succeeded")
	}
}

func TestSetIsolated(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	if err := errors.Join(c.AddBridge(bridge), c.AddVeth(veth)); err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{false, true, true, false} {
		if err := c.SetIsolated("nv0", on); err != nil {
			t.Fatal(err)
		}
		if l, err := c.Link("nv0"); err != nil || l.Isolated != on {
			t.Errorf("isolated is %t, want %t (%v)", l.Isolated, on, err)
		}
		links, err := c.Links()
		if i := slices.IndexFunc(links, func(l kernel.Link) bool { return l.Name == "nv0" }); err != nil || links[i].Isolated != on {
			t.Errorf("Links: isolated is %t, want %t (%v)", links[i].Isolated, on, err)
		}
	}
}

func TestDeleteLinks(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add nd0 type bridge", "ip link add other0 type veth peer name other1")
	pairs := []string{"nv0", "nv1", "nv2"}
	for _, names := range [][]string{nil, pairs[:1], pairs, {"nv0", "nv0"}} {
		for _, name := range pairs {
			nettest.Run(t, "ip link add "+name+" master nd0 type veth peer name p"+name)
		}
		for _, again := range []bool{false, true} {
			if err := c.DeleteLinks(names...); err != nil {
				t.Errorf("%v, again %t: %v", names, again, err)
			}
		}
		want := []string{"lo", "nd0", "other0", "other1"}
		for _, name := range pairs {
			if !slices.Contains(names, name) {
				want = append(want, name, "p"+name)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, linkNames(t, c)); diff != "" {
			t.Errorf("links after %v (-want +got):\n%s", names, diff)
		}
		if err := c.DeleteLinks(pairs...); err != nil {
			t.Fatal(err)
		}
	}
	// One that cannot go keeps its group.
	if err := c.DeleteLinks("other0", "lo"); err == nil || !slices.Contains(linkNames(t, c), "lo") {
		t.Errorf("delete of lo: error %v, links %v", err, linkNames(t, c))
	}
}

func linkNames(t *testing.T, c *kernel.Conn) []string {
	t.Helper()
	links, err := c.Links()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return names
}
