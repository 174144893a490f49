package plugin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

// labLease and labHold are as short as they may be.
const (
	labLease = 2 * time.Second
	labHold  = time.Second
)

// A labCluster is a switch with hosts on it, and an etcd, in namespaces of their
// own. The test is in that of the switch.
type labCluster struct {
	etcd  *etcdtest.Server
	hosts []*labHost
}

// A labHost is a host with a plugin, which does what Docker asks; nobody but the
// test is Docker.
type labHost struct {
	t     testing.TB
	name  string
	port  string // of the switch
	space string // path of its namespace
	dir   string
	etcd  string
	cmd   *exec.Cmd
	ended chan struct{} // the process's log is
}

// newCluster makes a switch with that many hosts and an etcd of one member, and
// starts their plugins.
func newCluster(tb testing.TB, hosts int) *labCluster {
	tb.Helper()
	c := newSwitch(tb)
	c.etcd = etcdtest.StartAt(tb, "2001:db8::9")
	for range hosts {
		c.addHost(tb, c.etcd.URL)
	}
	return c
}

// newSwitch makes a switch without hosts.
func newSwitch(tb testing.TB) *labCluster {
	tb.Helper()
	nettest.Enter(tb)
	nettest.Run(tb,
		"ip link add br0 type bridge mcast_snooping 0", "ip link set br0 addrgenmode none", "ip link set br0 up",
		"ip addr add fe80::9/64 dev br0 nodad", "ip addr add 2001:db8::9/64 dev br0 nodad",
	)
	nettest.Local(tb, "2001:db8::9")
	return new(labCluster)
}

// plugged makes a namespace whose link eth0, with an address, is at a port of the
// switch.
func plugged(tb testing.TB, port, addr string) (space string) {
	tb.Helper()
	space = nettest.Another(tb)
	nettest.Run(tb,
		"ip link add eth0 netns "+space+" type veth peer name "+port,
		"ip link set "+port+" master br0", "ip link set "+port+" addrgenmode none", "ip link set "+port+" up",
	)
	nettest.RunIn(tb, space,
		"sysctl -qw net.ipv6.conf.eth0.accept_dad=0", "ip link set eth0 up",
		"ip addr add "+addr+"/64 dev eth0 nodad", "ip -6 route add default via fe80::9 dev eth0",
	)
	return space
}

// addHost makes another host, and starts its plugin.
func (c *labCluster) addHost(tb testing.TB, etcd string) {
	tb.Helper()
	i := len(c.hosts)
	h := &labHost{t: tb, name: fmt.Sprintf("host%d", i), port: fmt.Sprintf("port%d", i), dir: tb.TempDir(), etcd: etcd}
	h.space = plugged(tb, h.port, fmt.Sprintf("2001:db8::1%d", i))
	h.start()
	c.hosts = append(c.hosts, h)
}

func (h *labHost) run(lines ...string) string {
	h.t.Helper()
	return nettest.RunIn(h.t, h.space, lines...)
}

// start starts the plugin, and returns when it is ready.
func (h *labHost) start() {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	h.cmd = exec.Command("nsenter", "--net="+h.space, self)
	h.cmd.Env = append(os.Environ(),
		serveIn+"="+h.dir, "NDP6_ETCD="+h.etcd, "NDP6_HOST_ID="+h.name,
		"NDP6_ETCD_LEASE="+labLease.String(), "NDP6_PEER_HOLD="+labHold.String(),
	)
	log, err := h.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.kill)
	h.ended = make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(h.ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			switch line := lines.Text(); {
			case strings.Contains(line, "msg=ready"):
				close(ready)
			case !strings.Contains(line, "level=INFO"):
				h.t.Log(h.name, line)
			}
		}
	}()
	select {
	case <-ready:
	case <-h.ended:
		h.t.Fatalf("%s: the plugin ended before it was ready", h.name)
	}
}

// kill ends the plugin without a word, stop with one.
func (h *labHost) kill() { h.end(syscall.SIGKILL) }
func (h *labHost) stop() { h.end(syscall.SIGTERM) }

func (h *labHost) end(sig os.Signal) {
	if h.cmd.ProcessState != nil {
		return
	}
	_ = h.cmd.Process.Signal(sig)
	<-h.ended
	_ = h.cmd.Wait()
}

func (h *labHost) dial(socket string) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(h.dir, socket))
		},
	}}
}

// ask is one of Docker's calls.
func (h *labHost) ask(method string, request, answer any) error {
	h.t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := h.dial("ndp6.sock").Post("http://ndp6/"+method, "application/json", bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", body)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}

func (h *labHost) must(method string, request, answer any) {
	h.t.Helper()
	if err := h.ask(method, request, answer); err != nil {
		h.t.Fatalf("%s: %s: %v", h.name, method, err)
	}
}

type object = map[string]any

// pool asks for a block of the base that all share.
func (h *labHost) pool() (id, prefix string, err error) {
	var answer struct{ PoolID, Pool string }
	err = h.ask("IpamDriver.RequestPool", object{
		"AddressSpace": "ndp6", "V6": true, "Options": object{"ndp6.base": "2001:db8::/64"},
	}, &answer)
	return answer.PoolID, answer.Pool, err
}

// network makes a network with a block of its own.
func (h *labHost) network(id string) (pool, prefix string) {
	h.t.Helper()
	pool, prefix, err := h.pool()
	if err != nil {
		h.t.Fatal(err)
	}
	h.must("NetworkDriver.CreateNetwork", object{
		"NetworkID": id, "Options": object{"com.docker.network.generic": object{"ndp6.inbound": "open"}},
		"IPv6Data": []object{{"AddressSpace": "ndp6", "Pool": prefix, "Gateway": "fe80::1/64"}},
	}, nil)
	return pool, prefix
}

func (h *labHost) removeNetwork(id, pool string) {
	h.t.Helper()
	h.must("NetworkDriver.DeleteNetwork", object{"NetworkID": id}, nil)
	h.must("IpamDriver.ReleasePool", object{"PoolID": pool}, nil)
}

// A labContainer is one in a namespace of its own.
type labContainer struct {
	host  *labHost
	space string
	addr  netip.Addr
}

// container starts a container on the network "web".
func (h *labHost) container(pool, id, mac string) labContainer {
	h.t.Helper()
	const network = "web"
	var leased struct{ Address string }
	h.must("IpamDriver.RequestAddress", object{
		"PoolID": pool, "Options": object{"com.docker.network.endpoint.macaddress": mac},
	}, &leased)
	h.must("NetworkDriver.CreateEndpoint", object{
		"NetworkID": network, "EndpointID": id, "Options": object{},
		"Interface": object{"AddressIPv6": leased.Address, "MacAddress": mac},
	}, nil)
	c := labContainer{host: h, space: nettest.Another(h.t), addr: netip.MustParsePrefix(leased.Address).Addr()}
	var joined struct{ InterfaceName struct{ SrcName string } }
	h.must("NetworkDriver.Join", object{"NetworkID": network, "EndpointID": id, "SandboxKey": c.space, "Options": object{}}, &joined)
	h.run("ip link set " + joined.InterfaceName.SrcName + " netns " + c.space + " name eth0")
	nettest.RunIn(h.t, c.space, "sysctl -qw net.ipv6.conf.eth0.accept_dad=0", "ip link set eth0 up",
		"ip addr add "+leased.Address+" dev eth0 nodad", "ip -6 route add default via fe80::1 dev eth0")
	return c
}

// status is what the plugin says.
func (h *labHost) status() admin.Status {
	h.t.Helper()
	s, err := admin.Get(h.t.Context(), h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// routes are the kernel's to other hosts.
func (h *labHost) routes() string {
	h.t.Helper()
	return h.run("ip -6 route show proto 167")
}

// leads reports whether what is sent to a prefix goes to another host.
func (h *labHost) leads(prefix string) bool {
	h.t.Helper()
	first := netip.MustParsePrefix(prefix).Addr().Next()
	return strings.Contains(h.run("ip -6 route get "+first.String()), " proto 167 ")
}

// await waits until a host has, or has not, a route to a prefix, and returns how
// long that took.
func (h *labHost) await(prefix string, want bool) time.Duration {
	h.t.Helper()
	begin := time.Now()
	for h.leads(prefix) != want {
		if time.Since(begin) > time.Minute {
			h.t.Fatalf("%s: route to %s: want %t, routes are\n%s", h.name, prefix, want, h.routes())
		}
	}
	return time.Since(begin)
}

// unplug takes a host from the switch, and plug puts it back. Its own link stays
// up, as that of a host behind another switch.
func (c *labCluster) unplug(tb testing.TB, host int) {
	tb.Helper()
	nettest.Run(tb, "ip link set "+c.hosts[host].port+" nomaster")
}

func (c *labCluster) plug(tb testing.TB, host int) {
	tb.Helper()
	nettest.Run(tb, "ip link set "+c.hosts[host].port+" master br0")
}
