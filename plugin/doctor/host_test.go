package doctor_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/doctor"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
)

const (
	networkID  = "4f1c2a9b7d30e5aa01"
	endpointID = "9a6c1f20b5e1ffff"
	bridge     = "nd-4f1c2a9b7d30"
)

var (
	pool         = netip.MustParsePrefix("2001:db8:1:0:a::/80")
	pool4        = netip.MustParsePrefix("10.166.0.0/24")
	container4   = netip.MustParseAddr("10.166.0.2")
	container    = netip.MustParseAddr("2001:db8:1:0:a:242:ac11:2")
	containerMAC = inet.MAC{0x02, 0x42, 0xac, 0x11, 0, 2}
)

// A host is a healthy one in the test's namespace, with a router behind its
// uplink and a container, each in a namespace of its own. What is no kernel's is
// played: the daemon that answers, Docker, and the resolver.
type host struct {
	tb                testing.TB
	router, container string // paths of namespaces
	dir               string
	config            doctor.Config
	status            admin.Status
	resolver          resolver
	version           string // of Docker

	daemon, docker, plugin func() // stop
	regain                 func() // a capability
}

// resolver answers for both families, or not.
type resolver struct{ four, six bool }

func (r *resolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	switch {
	case network == "ip4" && r.four:
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	case network == "ip6" && r.six:
		return []netip.Addr{netip.MustParseAddr("2001:db8::1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func newHost(tb testing.TB) *host {
	tb.Helper()
	nettest.Enter(tb)
	dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{
		tb: tb, router: nettest.Another(tb), container: nettest.Another(tb), dir: dir, version: "28.5.2",
		resolver: resolver{four: true, six: true},
	}
	h.config = doctor.Config{
		Resolver: &h.resolver,
		Settings: settings.Settings{
			Uplink: settings.Auto, StateDir: filepath.Join(dir, "state"), Sysctls: settings.Manage, SysctlDir: "/proc/sys/net",
			Sockets: []string{filepath.Join(dir, "plugin.sock")}, DockerSocket: filepath.Join(dir, "docker.sock"),
		},
	}
	h.connect()
	h.setRules()
	records, err := store.Open(h.config.Settings.StateDir, "boot", slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	if err := records.Close(); err != nil {
		tb.Fatal(err)
	}
	h.status = admin.Status{Schema: admin.Schema, Pools: []ipam.PoolStatus{}, Status: driver.Status{
		Networks: []driver.NetworkStatus{{
			ID: networkID, Bridge: bridge, Mode: plan.Routed, UplinkOption: "auto", Uplink: "eth0", Inbound: "published",
			Pools: []driver.PoolStatus{{Prefix: pool, Gateway: plan.LinkLocalGateway}, {Prefix: pool4}},
		}},
		Endpoints: []driver.EndpointStatus{{
			ID: endpointID, Network: networkID, MAC: containerMAC, Joined: true, Inbound: "published", Addrs: []netip.Addr{container},
			Addresses: []driver.AddressStatus{{Addr: container, Origin: plan.Given}, {Addr: container4, Origin: plan.Given}},
			Ports:     []driver.PortStatus{{Proto: "tcp", Port: 80, Direct: true, HostAddr: netip.IPv6Unspecified(), HostPort: 8080}},
		}},
	}}
	h.daemon = h.serveStatus()
	h.serveDocker()
	h.servePlugin()
	return h
}

func (h *host) serveDocker() {
	h.docker = h.serve("docker.sock", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"ID":"a","ServerVersion":%q}`, h.version)
	})
}

func (h *host) servePlugin() { h.plugin = h.serve("plugin.sock", http.NotFound) }

// connect makes the links, as ndp6 would.
func (h *host) connect() {
	h.tb.Helper()
	nettest.Run(h.tb, h.ip(
		"link add eth0 address 02:42:00:00:00:05 type veth peer name lan0 address 02:42:00:00:00:09 netns "+h.router,
		"link set eth0 addrgenmode none", "addr add fe80::5/64 dev eth0 nodad", "addr add 2001:db8:1::5/64 dev eth0 nodad",
	))
	// Forwarding first: it sets that of the link.
	nettest.Run(h.tb, "sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.proxy_ndp=1 "+
		"net.ipv6.conf.all.proxy_ndp=1 net.ipv6.neigh.eth0.proxy_delay=0 net.ipv4.ip_forward=1")
	nettest.RunIn(h.tb, h.router, "sysctl -qw net.ipv6.conf.all.forwarding=1", h.ip(
		"link set lan0 addrgenmode none", "link set lan0 up",
		"addr add fe80::9/64 dev lan0 nodad", "addr add 2001:db8:1::9/64 dev lan0 nodad",
	))
	const port = "ndh-9a6c1f20b5e"
	nettest.Run(h.tb, h.ip(
		"link set eth0 up", "route add default via fe80::9 dev eth0 proto static",
		"link add "+port+" type veth peer name eth0 address "+containerMAC.String()+" netns "+h.container,
		"link set "+port+" alias ndp6:endpoint:"+endpointID,
		"neigh add proxy "+container.String()+" dev eth0 protocol 166",
	))
	nettest.RunIn(h.tb, h.container, h.ip(
		"addr add "+container.String()+"/80 dev eth0 nodad", "link set eth0 up", "route add default via fe80::1 dev eth0",
	))
	h.bridge(port)
	h.await("eth0", "state UP")
}

// bridge makes a network's bridge, with a container on it.
func (h *host) bridge(port string) {
	h.tb.Helper()
	nettest.Run(h.tb, h.ip(
		"link add "+bridge+" type bridge mcast_snooping 0", "link set "+bridge+" alias ndp6:network:"+networkID,
		"link set "+bridge+" addrgenmode none", "addr add fe80::1/64 dev "+bridge+" nodad",
		"link set "+port+" master "+bridge, "link set "+port+" up", "link set "+bridge+" up",
		"route add "+pool.String()+" dev "+bridge+" proto kernel metric 1024", "route add "+pool4.String()+" dev "+bridge+" proto 168",
		"neigh add "+container4.String()+" lladdr "+containerMAC.String()+" dev "+bridge+" nud permanent protocol 166",
		"neigh add "+container.String()+" lladdr "+containerMAC.String()+" dev "+bridge+" nud permanent protocol 166",
	))
}

// ip returns a command that does what these of ip do, at once: there are many hosts.
func (h *host) ip(lines ...string) string {
	h.tb.Helper()
	f, err := os.CreateTemp(h.dir, "ip")
	if err != nil {
		h.tb.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		h.tb.Fatal(err)
	}
	return "ip -batch " + f.Name()
}

// await waits until ip link shows a word of a link.
func (h *host) await(link, word string) {
	h.tb.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(nettest.Run(h.tb, "ip link show dev "+link), word); {
		if time.Now().After(end) {
			h.tb.Fatalf("link %s is not %s", link, word)
		}
	}
}

// setRules has the kernel hold ndp6's rules.
func (h *host) setRules() {
	h.tb.Helper()
	conn, err := nft.Open()
	if err != nil {
		h.tb.Fatal(err)
	}
	defer conn.Close()
	rules := firewall.Build(firewall.Policy{
		Networks: []firewall.Network{{Bridge: bridge, Pools: []netip.Prefix{pool, pool4}, Masquerade4: pool4}}, Uplinks: []string{"eth0"},
	})
	rules.Groups = map[string]nft.Group{endpointID: firewall.Elements(firewall.Endpoint{
		Port: "ndh-9a6c1f20b5e", Bridge: bridge, MAC: containerMAC, Addrs: []netip.Addr{container, container4},
		Published: []firewall.Published{{Proto: 6, Port: 80, HostAddr: netip.IPv6Unspecified(), HostPort: 8080, Direct: true}},
	})}
	if err := conn.Apply(rules); err != nil {
		h.tb.Fatal(err)
	}
}

// serve answers HTTP on a socket until the returned function is called.
func (h *host) serve(name string, handler http.HandlerFunc) func() {
	h.tb.Helper()
	l, err := net.Listen("unix", filepath.Join(h.dir, name))
	if err != nil {
		h.tb.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	stop := sync.OnceFunc(func() {
		server.Close()
		<-done
	})
	h.tb.Cleanup(stop)
	return stop
}

// serveStatus is a daemon that answers.
func (h *host) serveStatus() func() {
	h.tb.Helper()
	l, err := net.Listen("unix", admin.Socket(h.config.Settings.StateDir))
	if err != nil {
		h.tb.Fatal(err)
	}
	server := admin.Server{Log: slog.New(slog.DiscardHandler), Status: func(context.Context) (admin.Status, error) { return h.status, nil }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, l) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.tb.Error(err)
		}
	})
	h.tb.Cleanup(stop)
	return stop
}

// examine is what the doctor says.
func (h *host) examine() doctor.Report { return doctor.Examine(h.tb.Context(), h.config) }

// text is a report in lines, for tests that fail.
func text(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s (%s) %q\n", f.Severity, f.Code, f.What, f.Why, f.Fix)
	}
	for _, u := range r.Unseen {
		b.WriteString("unseen " + u + "\n")
	}
	return b.String()
}
