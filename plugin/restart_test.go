package plugin_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	ipamapi "github.com/docker/go-plugins-helpers/ipam"
	"github.com/spf13/pflag"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
)

// serveIn makes the test binary a plugin whose files are in that directory. A
// process of its own is all in one network namespace; goroutines are not.
const serveIn = "NDP6_TEST_SERVE_IN"

func TestMain(m *testing.M) {
	dir, url := os.Getenv(serveIn), os.Getenv(fillAt)
	var err error
	switch {
	case dir != "":
		err = serve(dir)
	case url != "":
		err = fill(url)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test process:", err)
		os.Exit(1)
	}
}

func serve(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	settings.Define(flags)
	if err := flags.Parse([]string{"--state-dir", dir, "--socket", filepath.Join(dir, "ndp6.sock"), "--docker-socket", "none"}); err != nil {
		return err
	}
	s, err := settings.Read(flags, func(name string) string {
		switch name {
		case "NDP6_METRICS_ADDR", "NDP6_ETCD", "NDP6_ETCD_LEASE", "NDP6_PEER_HOLD", "NDP6_HOST_ID":
			return os.Getenv(name)
		}
		return ""
	})
	if err != nil {
		return err
	}
	return plugin.Serve(ctx, s, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})))
}

// start starts a plugin in the test's namespace. It returns when that is
// ready, with how often it changed the host by then.
func start(tb testing.TB, dir string) (changed int, stop func()) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveIn+"="+dir)
	log, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.Contains(line, "msg=ready"):
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for lines.Scan() {
					continue // a full pipe would stop the process
				}
			}()
			return changed, func() {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				<-drained
				if err := cmd.Wait(); err != nil {
					tb.Error(err)
				}
			}
		case strings.Contains(line, "host changed"):
			changed++
		case !strings.Contains(line, "level=INFO"):
			tb.Log(line)
		}
	}
	tb.Fatalf("the plugin ended before it was ready: %v", cmd.Wait())
	return 0, nil
}

// portsOfBridge is how many endpoints the fixture puts on a network: Linux
// allows 1024 ports.
const portsOfBridge = 1000

// BenchmarkRestart is how long the plugin is away when it is started again on
// a host with that many running containers: from exec to the line "ready".
// Records, bridges, routes, neighbors, proxy entries and veth pairs are there;
// only the containers are not.
func BenchmarkRestart(b *testing.B) {
	for _, tt := range []struct {
		endpoints int
		promise   time.Duration
	}{{1000, time.Second}, {10_000, 5 * time.Second}} {
		b.Run(fmt.Sprintf("endpoints=%d", tt.endpoints), func(b *testing.B) {
			nettest.Enter(b)
			nettest.Run(b,
				"ip link add eth0 type veth peer name lan0", "ip link set lan0 up", "ip link set eth0 up",
				"ip addr add fe80::5/64 dev eth0 nodad", "ip addr add 2001:db8::5/64 dev eth0 nodad",
				"ip -6 route add default via fe80::9 dev eth0",
			)
			dir := b.TempDir()
			endpoints := record(b, dir, tt.endpoints)
			_, stop := start(b, dir)
			stop()
			attach(b, endpoints)
			for b.Loop() {
				changed, stop := start(b, dir)
				b.StopTimer()
				if changed > 0 {
					b.Errorf("a restart changed the host %d times", changed)
				}
				stop()
				b.StartTimer()
			}
			if took := b.Elapsed() / time.Duration(b.N); took > tt.promise {
				b.Errorf("ready after %v, want %v", took, tt.promise)
			}
		})
	}
}

// nowhere is a host that uses nothing.
type nowhere struct{}

func (nowhere) Facts(context.Context) (source.Facts, error) { return source.Facts{}, nil }

// record fills a store, as Docker's calls would.
func record(tb testing.TB, dir string, size int) []plan.Endpoint {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	boot, err := store.BootID()
	must(err)
	records, err := store.Open(dir, boot, log)
	must(err)
	defer records.Close()
	networks, attached := store.Lasting[plan.Network](records, "networks"), store.Boot[plan.Endpoint](records, "endpoints")
	addresses, err := ipam.New(ipam.Config{
		Log: log, Host: nowhere{}, IID: alloc.MAC, NoIPv4: true,
		Pools: store.Lasting[ipam.Pool](records, "pools"), Leases: store.Boot[ipam.Lease](records, "leases"),
		Secrets: store.Lasting[ipam.Secret](records, "secrets"),
	})
	must(err)
	var endpoints []plan.Endpoint
	for i := 0; len(endpoints) < size; i++ {
		pool, err := addresses.RequestPool(tb.Context(), &ipamapi.RequestPoolRequest{
			AddressSpace: "ndp6", Pool: fmt.Sprintf("2001:db8:0:0:%x::/80", i+10), V6: true,
		})
		must(err)
		n := plan.Network{
			ID: fmt.Sprintf("%012d", i), Bridge: fmt.Sprintf("nd-%d", i), Uplink: "auto",
			Pools: []plan.Pool{{Prefix: netip.MustParsePrefix(pool.Pool), Gateway: plan.LinkLocalGateway}},
		}
		must(networks.Put(n.ID, n))
		for range min(portsOfBridge, size-len(endpoints)) {
			mac := inet.RandomMAC()
			given, err := addresses.RequestAddress(tb.Context(), &ipamapi.RequestAddressRequest{
				PoolID: pool.PoolID, Options: map[string]string{"com.docker.network.endpoint.macaddress": mac.String()},
			})
			must(err)
			e := plan.Endpoint{
				ID: fmt.Sprintf("%08d", len(endpoints)), Network: n.ID, MAC: mac, Joined: true,
				Addrs: []netip.Addr{netip.MustParsePrefix(given.Address).Addr()},
			}
			must(attached.Put(e.ID, e))
			endpoints = append(endpoints, e)
		}
	}
	return endpoints
}

// attach makes the veth pairs, which no later process makes for Join.
func attach(tb testing.TB, endpoints []plan.Endpoint) {
	tb.Helper()
	conn, err := kernel.Open()
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	for i, e := range endpoints {
		v := kernel.Veth{
			Name: e.HostSide(), Alias: plan.AliasEndpoint + e.ID, Peer: e.ContainerSide(),
			Master: fmt.Sprintf("nd-%d", i/portsOfBridge), MTU: 1500, PeerMAC: e.MAC,
		}
		if err := conn.AddVeth(v); err != nil {
			tb.Fatal(err)
		}
		if err := conn.SetUp(v.Name, true); err != nil {
			tb.Fatal(err)
		}
	}
}
