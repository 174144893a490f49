package doctor_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/doctor"
)

// What the test's binary does instead of testing, as another process of a host.
const (
	holdPort = "NDP6_TEST_HOLD_PORT" // listen on this address
	holdFile = "NDP6_TEST_HOLD_FILE" // lock this file
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(holdPort); addr != "" {
		l, err := net.Listen("tcp", addr)
		hold(err, l)
	}
	if path := os.Getenv(holdFile); path != "" {
		f, err := os.Open(path)
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		hold(err, f)
	}
	os.Exit(m.Run())
}

func hold(err error, what any) {
	fmt.Println(err) //nolint:forbidigo // the test reads it.
	for range time.Tick(time.Minute) {
		_ = what
	}
}

// another starts a process that holds something until the test ends or it is killed.
func (h *host) another(env, value string) {
	h.tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+value)
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		h.tb.Fatalf("%s: %q, %v", env, line, err)
	}
}

func (h *host) run(lines ...string) { h.tb.Helper(); nettest.Run(h.tb, lines...) }

// rules has nft load a table.
func (h *host) rules(lines string) {
	h.tb.Helper()
	file := filepath.Join(h.dir, "rules")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		h.tb.Fatal(err)
	}
	h.run("nft -f " + file)
}

// A broken host is one on which something was done that keeps containers from
// being reached, started, or found.
type broken struct {
	name string
	do   func(*host)
	want doctor.Code
	// heal does what the finding advises, where that is more than to run its
	// commands here: on another host, by the service manager, or by the user.
	heal func(*host)
}

func commands(lines ...string) func(*host) { return func(h *host) { h.tb.Helper(); h.run(lines...) } }

// respond puts a program on the uplink, as ndp6 does.
func respond(h *host) {
	h.tb.Helper()
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		h.tb.Fatal(err)
	}
	r, err := responder.New(responder.Config{Index: eth0.Index, Name: eth0.Name, MAC: inet.MAC(eth0.HardwareAddr)})
	if err != nil {
		h.tb.Fatal(err)
	}
	defer r.Close() // It stays where it is.
	if err := errors.Join(r.Add(container), r.Attach()); err != nil {
		h.tb.Fatal(err)
	}
}

func onRouter(line string) func(*host) {
	return func(h *host) { h.tb.Helper(); nettest.RunIn(h.tb, h.router, line) }
}

func brokenHosts() []broken {
	chain := "type filter hook forward priority filter; policy "
	return []broken{
		{"IPv6 disabled", commands("sysctl -qw net.ipv6.conf.all.disable_ipv6=1"), doctor.IPv6Off, nil},
		{"IPv6 disabled on the uplink", commands("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1"), doctor.UplinkIPv6Off, nil},
		{"forwarding reset", commands("sysctl -qw net.ipv6.conf.all.forwarding=0"), doctor.ForwardingOff, nil},
		{"forwarding reset on the uplink", commands("sysctl -qw net.ipv6.conf.eth0.forwarding=0"), doctor.ForwardingOff, nil},
		{"IPv4 forwarding reset", commands("sysctl -qw net.ipv4.ip_forward=0"), doctor.IPv4ForwardingOff, nil},
		{"proxy_ndp reset", commands("sysctl -qw net.ipv6.conf.eth0.proxy_ndp=0"), doctor.ProxyNDPOff, nil},
		{"proxy_ndp of all links reset", commands("sysctl -qw net.ipv6.conf.all.proxy_ndp=0"), doctor.ProxyNDPUnicastOff, nil},
		{"program removed", func(h *host) {
			h.status.Uplinks = []driver.UplinkStatus{{Name: "eth0", Asked: plan.AnswerAuto, Responder: plan.AnswerBPF}}
			h.run("sysctl -qw net.ipv6.conf.all.proxy_ndp=0")
		}, doctor.ResponderMissing, respond},
		{"proxy_delay reset", commands("sysctl -qw net.ipv6.neigh.eth0.proxy_delay=80"), doctor.ProxyDelay, nil},
		{"RA ignored by a host that forwards", func(h *host) {
			h.run("sysctl -qw net.ipv6.conf.eth0.accept_ra=1", "ip -6 route del default")
			nettest.Router(h.tb, h.router, "lan0", netip.MustParseAddr("fe80::9"), nettest.RA{Router: time.Hour})
		}, doctor.RAIgnored, nil},
		{"RA lost", commands("ip -6 route del default"), doctor.NoDefaultRoute, commands("ip -6 route add default via fe80::9 dev eth0")},
		{"RA about to be lost", commands("ip -6 route del default", "ip -6 route add default via fe80::9 dev eth0 proto ra", "sysctl -qw net.ipv6.conf.eth0.accept_ra=1"), doctor.RARisk, nil},
		{"router gone", func(h *host) {
			nettest.RunIn(h.tb, h.router, "ip addr del fe80::9/64 dev lan0")
		}, doctor.RouterSilent, onRouter("ip addr add fe80::9/64 dev lan0 nodad")},
		{"uplink down", commands("ip link set eth0 down"), doctor.UplinkDown, nil},
		{"uplink down, no ndp6", func(h *host) {
			h.daemon()
			h.run("ip link set eth0 down")
		}, doctor.DaemonDown, func(h *host) { h.serveStatus() }},
		{"uplink without carrier", func(h *host) {
			nettest.RunIn(h.tb, h.router, "ip link set lan0 down")
			h.await("eth0", "NO-CARRIER")
		}, doctor.UplinkNoCarrier, func(h *host) {
			nettest.RunIn(h.tb, h.router, "ip link set lan0 up")
			h.await("eth0", "state UP")
		}},
		{"uplink of another name", func(h *host) {
			h.status.Networks[0].UplinkOption, h.status.Networks[0].Uplink = "eth7", ""
		}, doctor.UplinkMissing, func(h *host) { h.status.Networks[0].UplinkOption, h.status.Networks[0].Uplink = "auto", "eth0" }},
		{"no prefix", commands("ip addr del 2001:db8:1::5/64 dev eth0"), doctor.NoPrefix, commands("ip addr add 2001:db8:1::5/64 dev eth0 nodad")},
		{"bridge down", commands("ip link set " + bridge + " down"), doctor.BridgeDown, nil},
		{"bridge gone", commands("ip link del " + bridge), doctor.BridgeMissing, func(h *host) { h.bridge("ndh-9a6c1f20b5e") }},
		{"multicast snooping", commands("ip link set " + bridge + " type bridge mcast_snooping 1"), doctor.BridgeSnooping, nil},
		{"route gone", commands("ip -6 route del " + pool.String() + " dev " + bridge), doctor.RouteMissing, nil},
		{"neighbor gone", commands("ip neigh del " + container.String() + " dev " + bridge), doctor.NeighborMissing, nil},
		{"proxy entry gone", commands("ip -6 neigh del proxy " + container.String() + " dev eth0"), doctor.ProxyMissing, nil},
		{"proxy entry gone, and the router does not know yet", func(h *host) {
			nettest.RunIn(h.tb, h.router, "ip -6 neigh add "+container.String()+" lladdr 02:42:00:00:00:05 dev lan0 nud permanent")
			h.run("ip -6 neigh del proxy " + container.String() + " dev eth0")
		}, doctor.ProxyMissing, nil},
		{"smaller MTU of the uplink", commands("ip link set eth0 mtu 1400"), doctor.MTUTooLarge, nil},
		{"larger MTU of the network", commands("ip link set ndh-9a6c1f20b5e mtu 9000", "ip link set "+bridge+" mtu 9000"), doctor.MTUTooLarge, nil},
		{"rules gone", commands("nft delete table inet ndp6"), doctor.RulesMissing, (*host).setRules},
		{"FORWARD drop", commands("ip6tables-nft -P FORWARD DROP"), doctor.FirewallDrop, nil},
		{"FORWARD drop of iptables-legacy", commands("ip6tables-legacy -P FORWARD DROP"), doctor.FirewallDrop, nil},
		{"IPv4 FORWARD drop", commands("iptables-nft -P FORWARD DROP"), doctor.FirewallDrop, nil},
		{"IPv4 route gone", commands("ip route del " + pool4.String() + " dev " + bridge), doctor.RouteMissing, nil},
		{"table of an administrator", func(h *host) {
			h.rules("table inet admin {\nchain forward {\n" + chain + "drop;\nct state established,related accept\n}\n}\n")
		}, doctor.FirewallDrop, nil},
		{"drop of one port", func(h *host) {
			h.rules("table inet admin {\nchain forward {\n" + chain + "accept;\ntcp dport 80 drop\n}\n}\n")
		}, doctor.FirewallDrop, nil},
		{"drop of what leaves", func(h *host) {
			h.rules("table ip6 admin {\nchain forward {\n" + chain + "accept;\niifname \"nd-*\" reject\n}\n}\n")
		}, doctor.FirewallDrop, nil},
		{"second proxy on the link", func(h *host) {
			nettest.RunIn(h.tb, h.router, "sysctl -qw net.ipv6.conf.lan0.proxy_ndp=1 net.ipv6.neigh.lan0.proxy_delay=0", "ip -6 neigh add proxy "+container.String()+" dev lan0")
		}, doctor.DuplicateAddress, onRouter("ip -6 neigh del proxy " + container.String() + " dev lan0")},
		{"solicitations dropped on input", func(h *host) {
			h.rules("table inet admin {\nchain input {\ntype filter hook input priority filter;\nicmpv6 type nd-neighbor-solicit drop\n}\n}\n")
		}, doctor.ProxySilent, commands("nft delete table inet admin")},
		{"solicitations lost in the switch", func(h *host) {
			nettest.RunIn(h.tb, h.router, "ip -6 neigh add "+container.String()+" lladdr 02:42:00:00:00:77 dev lan0 nud permanent")
		}, doctor.SolicitationLost, onRouter("ip -6 neigh del " + container.String() + " dev lan0")},
		{"port held", func(h *host) { h.another(holdPort, "[::]:8080") }, doctor.PortTaken, nil},
		{"store locked", func(h *host) {
			h.daemon()
			h.another(holdFile, filepath.Join(h.config.Settings.StateDir, "state.db"))
		}, doctor.StoreLocked, nil},
		{"store damaged", func(h *host) {
			h.daemon()
			if err := os.Truncate(filepath.Join(h.config.Settings.StateDir, "state.db"), 100); err != nil {
				h.tb.Fatal(err)
			}
		}, doctor.StoreDamaged, nil},
		{"ndp6 dead", func(h *host) { h.daemon() }, doctor.DaemonDown, func(h *host) { h.serveStatus() }},
		{"plugin socket gone", func(h *host) { h.plugin() }, doctor.SocketMissing, (*host).servePlugin},
		{"plugin socket stale", func(h *host) {
			h.plugin()
			stale(h)
		}, doctor.SocketStale, func(h *host) {
			h.run("rm " + filepath.Join(h.dir, "plugin.sock"))
			h.servePlugin()
		}},
		{"missing capability", func(h *host) {
			h.daemon()
			dropCapability(h, unix.CAP_NET_RAW)
		}, doctor.CapabilityMissing, func(h *host) { h.regain() }},
		{"old kernel", func(h *host) { h.config.Release = "5.4.0-150-generic" }, doctor.KernelOld, func(h *host) { h.config.Release = "6.1.0-18-amd64" }},
		{"DNS without AAAA", func(h *host) { h.resolver.six = false }, doctor.NamesNoIPv6, func(h *host) { h.resolver.six = true }},
		{"DNS silent", func(h *host) { h.resolver = resolver{} }, doctor.NamesSilent, func(h *host) { h.resolver = resolver{four: true, six: true} }},
		{"Docker dead", func(h *host) { h.docker() }, doctor.DockerAbsent, (*host).serveDocker},
		{"Docker too old", func(h *host) { h.version = "19.03.15" }, doctor.DockerOld, func(h *host) { h.version = "28.5.2" }},
		{"address withdrawn", func(h *host) {
			h.status.Endpoints[0].Withdrawn = h.status.Endpoints[0].Addrs
		}, doctor.AddressWithdrawn, func(h *host) { h.status.Endpoints[0].Withdrawn = nil }},
		{"problem of the daemon", func(h *host) {
			h.status.Problems = []driver.ProblemStatus{{Owner: networkID, Error: "add route: no buffer space available", Attempts: 3}}
		}, doctor.StatusProblem, func(h *host) { h.status.Problems = nil }},
	}
}

// stale leaves a socket that nobody listens on.
func stale(h *host) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(h.dir, "plugin.sock"), Net: "unix"})
	if err != nil {
		h.tb.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// dropCapability takes one from the test's thread until the test ends, or the
// host regains it.
func dropCapability(h *host, capability uint) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		h.tb.Fatal(err)
	}
	after := before
	after[capability/32].Effective &^= 1 << (capability % 32)
	if err := unix.Capset(&header, &after[0]); err != nil {
		h.tb.Fatal(err)
	}
	h.regain = func() {
		if err := unix.Capset(&header, &before[0]); err != nil {
			h.tb.Error(err)
		}
	}
	h.tb.Cleanup(h.regain)
}

func TestBrokenHosts(t *testing.T) {
	for _, tt := range brokenHosts() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // Most of the time a host waits for another.
			h := newHost(t)
			tt.do(h)
			r := h.examine()
			if len(r.Findings) == 0 || r.Findings[0].Code != tt.want || r.Healthy() {
				t.Fatalf("the first finding should be %s:\n%s", tt.want, text(r))
			}
			first := r.Findings[0]
			switch {
			case tt.heal == nil && len(first.Fix) == 0:
				t.Fatalf("no commands:\n%s", text(r))
			case first.Advice == "" && len(first.Fix) == 0 && tt.want != doctor.StatusProblem:
				t.Fatalf("nothing to do about it:\n%s", text(r))
			case tt.heal == nil:
				h.mend(first)
			default:
				tt.heal(h)
			}
			r = h.examine()
			if slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Code == tt.want }) {
				t.Errorf("%s is still there:\n%s", tt.want, text(r))
			}
		})
	}
}

// mend runs a finding's commands as an operator would.
func (h *host) mend(f doctor.Finding) {
	h.tb.Helper()
	for _, command := range f.Fix {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			h.tb.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
}

// TestSharedPool mends the route of one address where other hosts have the rest.
func TestSharedPool(t *testing.T) {
	h := newHost(t)
	h.status.Networks[0].Shared = true
	h.run("ip -6 route del "+pool.String()+" dev "+bridge, "ip -6 route add "+container.String()+" dev "+bridge+" proto kernel metric 1024")
	if r := h.examine(); len(r.Findings) > 0 {
		t.Fatalf("all is well:\n%s", text(r))
	}
	h.run("ip -6 route del " + container.String() + " dev " + bridge)
	r := h.examine()
	want := []string{"ip -6 route replace " + container.String() + "/128 dev " + bridge + " proto 2 metric 1024"}
	if len(r.Findings) == 0 || r.Findings[0].Code != doctor.RouteMissing || !slices.Equal(r.Findings[0].Fix, want) {
		t.Fatalf("the first finding should be %s, mended with %q:\n%s", doctor.RouteMissing, want, text(r))
	}
	h.mend(r.Findings[0])
	if r := h.examine(); len(r.Findings) > 0 {
		t.Errorf("%s is mended:\n%s", doctor.RouteMissing, text(r))
	}
}

// TestNoProxy has a network without proxy entries, as its user wants.
func TestNoProxy(t *testing.T) {
	h := newHost(t)
	h.status.Networks[0].NDP = plan.NDPOff
	h.run("ip -6 neigh del proxy " + container.String() + " dev eth0")
	if r := h.examine(); len(r.Findings) > 0 {
		t.Errorf("all is well:\n%s", text(r))
	}
}

func TestHealthyHost(t *testing.T) {
	h := newHost(t)
	if r := h.examine(); !r.Healthy() || len(r.Findings) > 0 || len(r.Unseen) > 0 {
		t.Errorf("all is well:\n%s", text(r))
	}
	// The other way round, the host of these tests is one that works.
	var l net.Listener
	if err := netns.Do(h.container, func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(container, 80).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := netns.Do(h.router, func() error {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
