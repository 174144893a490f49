package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// patience is how long a test waits for a repair. One takes well under a
// second, which the tests print and a busy machine may not keep to.
const patience = 10 * time.Second

// run keeps the host until the test ends. The loop changes it from a thread in
// the test's namespace, where the sysctls are.
func (n *node) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	namespace := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid())
	entered := make(chan struct{})
	go func() {
		done <- netns.Do(namespace, func() error {
			close(entered)
			return n.Run(ctx)
		})
	}()
	<-entered
	n.rest(t)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// rest waits until the loop has nothing to do: not even for an event of what it
// did itself.
func (n *node) rest(t *testing.T) {
	t.Helper()
	const quiet = 200 * time.Millisecond
	for last := int64(-1); n.looked.Load() != last; {
		last = n.looked.Load()
		<-time.After(quiet)
	}
}

// damage runs commands. At one that says rest, the loop gets time to notice.
func (n *node) damage(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if command == "rest" {
			n.rest(t)
			continue
		}
		nettest.Run(t, command)
	}
}

// repaired waits until nothing is missing and says how long that took.
func repaired(t *testing.T, begin time.Time, missing func() string) {
	t.Helper()
	for {
		what := missing()
		took := time.Since(begin).Round(time.Millisecond)
		switch {
		case what == "":
			t.Logf("repaired within %v", took)
			return
		case took > patience:
			t.Fatalf("not repaired within %v:\n%s", took, what)
		}
	}
}

// shows returns what is missing from the output of commands.
func shows(t *testing.T, want map[string]string) string {
	t.Helper()
	var missing strings.Builder
	for command, line := range want {
		args := strings.Fields(command)
		// What a command asks for may not be there yet.
		got, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(got), line) {
			fmt.Fprintf(&missing, "%s: want %q in:\n%s", command, line, got)
		}
	}
	return missing.String()
}

// Commands that bring back what a router advertisement would.
var (
	advertised = []string{
		"ip addr replace fe80::5/64 dev eth0 nodad", "ip addr replace 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route replace default via fe80::9 dev eth0 proto ra",
	}
	proxied = map[string]string{"ip -6 neigh show proxy": "2001:db8::a:0:0:2 dev eth0 proxy proto 166"}
)

func TestRepair(t *testing.T) {
	tests := []struct {
		name   string
		damage []string
		// shows is what the host must show again. Without, it must be what it
		// was in everything.
		shows map[string]string
	}{
		{name: "uplink down and up", damage: append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...)},
		{
			name: "uplink down", damage: []string{"ip link set eth0 down"}, shows: proxied,
		},
		{name: "uplink up, nothing advertised yet", damage: []string{"ip link set eth0 down", "ip link set eth0 up"}, shows: proxied},
		{name: "carrier flap", damage: []string{"ip link set lan0 down", "ip link set lan0 up"}},
		{name: "carrier lost for a while", damage: []string{"ip link set lan0 down", "rest", "ip link set lan0 up"}},
		{
			name: "IPv6 disabled and enabled on the uplink",
			damage: append([]string{
				"sysctl -w net.ipv6.conf.eth0.disable_ipv6=1", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0",
			}, advertised...),
		},
		{
			name: "uplink has another name",
			damage: []string{
				"ip link set eth0 down", "ip link set eth0 name wan0", "ip link set wan0 up",
				"ip addr replace fe80::5/64 dev wan0 nodad", "ip addr replace 2001:db8::5/64 dev wan0 nodad",
				"ip -6 route replace default via fe80::9 dev wan0 proto ra",
			},
			shows: map[string]string{
				"ip -6 neigh show proxy":                 "2001:db8::a:0:0:2 dev wan0 proxy proto 166",
				"sysctl net.ipv6.conf.wan0.proxy_ndp":    "= 1",
				"sysctl net.ipv6.neigh.wan0.proxy_delay": "= 0",
				"sysctl net.ipv6.conf.wan0.accept_ra":    "= 2",
			},
		},
		{
			name: "uplink deleted and made again",
			damage: append([]string{
				"ip link del eth0", "ip link add eth0 type veth peer name lan0",
				"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
				"ip link set lan0 up", "ip link set eth0 up",
			}, advertised...),
			shows: map[string]string{
				"ip -6 neigh show proxy":                 "2001:db8::a:0:0:2 dev eth0 proxy proto 166",
				"sysctl net.ipv6.conf.eth0.proxy_ndp":    "= 1",
				"sysctl net.ipv6.conf.all.proxy_ndp":     "= 1",
				"sysctl net.ipv6.neigh.eth0.proxy_delay": "= 0",
				"sysctl net.ipv6.conf.eth0.accept_ra":    "= 2",
			},
		},
		{name: "bridge down", damage: []string{"ip link set nd-web down"}},
		{name: "bridge down and up", damage: []string{"ip link set nd-web down", "ip link set nd-web up"}},
		{name: "bridge deleted", damage: []string{"ip link del nd-web"}, shows: map[string]string{
			"ip link show ndh-00000":                             "master nd-web",
			"ip -d link show nd-web":                             "mcast_snooping 0",
			"ip -6 route show proto 166":                         "2001:db8:0:0:a::/80 dev nd-web",
			"ip -6 neigh show dev nd-web nud permanent":          "2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00",
			"ip -o -6 addr show dev nd-web":                      "inet6 fe80::1/64",
			"sysctl net.ipv6.conf.nd-web.accept_ra":              "= 0",
			"ip -6 neigh show proxy":                             "2001:db8::a:0:0:2 dev eth0",
			"ip -o link show dev nd-web":                         "UP",
			"ip -6 route get 2001:db8::a:0:0:2 from 2001:db8::5": "nd-web",
		}},
		{name: "proxy entries flushed", damage: []string{"ip -6 neigh flush proxy"}},
		{name: "neighbors flushed", damage: []string{"ip -6 neigh flush dev nd-web nud permanent"}},
		{name: "main table flushed", damage: append([]string{"ip -6 route flush table main"}, advertised...), shows: map[string]string{
			"ip -6 route show proto 166": "2001:db8:0:0:a::/80 dev nd-web",
			"ip -6 neigh show proxy":     "2001:db8::a:0:0:2 dev eth0",
		}},
		{name: "our routes flushed", damage: []string{"ip -6 route flush proto 166"}},
		{name: "proxy entry deleted", damage: []string{"ip -6 neigh del proxy 2001:db8::a:0:0:2 dev eth0"}},
		{name: "proxy entry of ours too many", damage: []string{"ip -6 neigh add proxy 2001:db8::a:0:0:9 dev eth0 proto 166"}},
		{name: "route deleted", damage: []string{"ip -6 route del 2001:db8:0:0:a::/80 dev nd-web"}},
		{name: "permanent neighbor deleted", damage: []string{"ip -6 neigh del 2001:db8::a:0:0:2 dev nd-web"}},
		{name: "permanent neighbor replaced", damage: []string{"ip -6 neigh replace 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:99 dev nd-web nud permanent"}},
		{name: "port left the bridge", damage: []string{"ip link set ndh-00000 nomaster"}},
		{name: "port is down", damage: []string{"ip link set ndh-00000 down"}},
		{name: "rules flushed", damage: []string{"nft flush ruleset"}},
		{name: "all.forwarding reset", damage: []string{"sysctl -w net.ipv6.conf.all.forwarding=0"}},
		{name: "uplink's forwarding reset", damage: []string{"sysctl -w net.ipv6.conf.eth0.forwarding=0"}},
		{name: "proxy_ndp reset", damage: []string{"sysctl -w net.ipv6.conf.all.proxy_ndp=0", "sysctl -w net.ipv6.conf.eth0.proxy_ndp=0"}},
		{name: "accept_ra reset", damage: []string{"sysctl -w net.ipv6.conf.eth0.accept_ra=1"}},
		{name: "proxy_delay reset", damage: []string{"sysctl -w net.ipv6.neigh.eth0.proxy_delay=80"}},
		{name: "bridge's accept_ra reset", damage: []string{"sysctl -w net.ipv6.conf.nd-web.accept_ra=1"}},
		{name: "bridge's mcast_snooping reset", damage: []string{"ip link set nd-web type bridge mcast_snooping 1"}, shows: map[string]string{
			"ip -d link show nd-web": "mcast_snooping 0",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{})
			n.serve(t)
			n.run(t)
			before := observe(t)
			n.damage(t, tt.damage...)
			begin := time.Now()
			repaired(t, begin, func() string {
				if tt.shows != nil {
					return shows(t, tt.shows)
				}
				return cmp.Diff(before, observe(t))
			})
		})
	}
}

// Neighbors send to the MAC that they know until they are told another.
func TestAnnouncesAgain(t *testing.T) {
	tests := []struct {
		name   string
		damage []string
		mac    string
	}{
		{"another MAC", []string{"ip link set eth0 address 02:42:00:00:00:99"}, "02:42:00:00:00:99"},
		{"uplink down and up", append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...), "02:42:00:00:00:05"},
		{"carrier lost for a while", []string{"ip link set lan0 down", "rest", "ip link set lan0 up"}, "02:42:00:00:00:05"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			enter(t)
			nettest.Run(t, "ip link set eth0 address 02:42:00:00:00:05")
			n := newNode(t, memory{})
			n.serve(t)
			n.speaker.Silence(box(0).Addrs[0])
			n.run(t)
			conn := listen(t, "lan0")
			n.damage(t, tt.damage...)
			begin := time.Now()
			mac, err := net.ParseMAC(tt.mac)
			if err != nil {
				t.Fatal(err)
			}
			repaired(t, begin, func() string { return announced(t, conn, box(0).Addrs[0], mac) })
		})
	}
}

func listen(t *testing.T, name string) *packet.Conn {
	t.Helper()
	link, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := packet.Listen(link, packet.Raw, syscall.ETH_P_IPV6, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// announced reads one packet and returns why it is not an advertisement of
// addr at mac that overrides what is known.
func announced(t *testing.T, conn *packet.Conn, addr netip.Addr, mac net.HardwareAddr) string {
	t.Helper()
	const header, advertisement, override = 14 + 40, 136, 0x20
	b := make([]byte, 1500)
	length, _, err := conn.ReadFrom(b)
	if errors.Is(err, syscall.ENETDOWN) {
		return "the link was down"
	}
	if err != nil {
		t.Fatal(err)
	}
	if length < header+32 || b[header] != advertisement {
		return "another packet"
	}
	target := netip.AddrFrom16([16]byte(b[header+8 : header+24]))
	flags, linkLayer := b[header+4], net.HardwareAddr(b[header+26:header+32])
	if target != addr || flags&override == 0 || linkLayer.String() != mac.String() {
		return fmt.Sprintf("an advertisement of %s at %s with flags %#x", target, linkLayer, flags)
	}
	return ""
}
