package publish_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// A rig is a Publisher on a host of its own. The container's addresses are the
// host's as well, so that what it serves can be reached.
type rig struct {
	*publish.Publisher
	host *hostport.Host
	log  bytes.Buffer
}

var dual = []netip.Addr{addr6, addr4}

func newRig(t *testing.T) *rig {
	t.Helper()
	nettest.Enter(t)
	nettest.Run(t, "ip addr add 192.0.2.10/32 dev lo", "ip addr add 2001:db8::a/128 dev lo nodad")
	nettest.Local(t, "2001:db8::a")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40009"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := hostport.Open(hostport.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	r := &rig{host: h}
	r.restart(t)
	return r
}

// restart begins with nothing, as a new process does.
func (r *rig) restart(t *testing.T) {
	t.Helper()
	if r.Publisher != nil {
		must(t, r.Close())
	}
	p := publish.New(r.host, slog.New(slog.NewTextHandler(&r.log, nil)))
	t.Cleanup(func() { must(t, p.Close()) })
	r.Publisher = p
}

func (r *rig) publish(t *testing.T, id, specs string) []firewall.Published {
	t.Helper()
	published, err := r.Publish(id, dual, mappings(t, specs), publish.Options{})
	must(t, err)
	return published
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open returns which TCP ports somebody holds, as they are listened at.
func open(t *testing.T) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(nettest.Run(t, "ss -Hltn")) {
		all = append(all, strings.Fields(line)[3])
	}
	return all
}

func without(list []string, at ...string) []string {
	var rest []string
	for _, s := range list {
		if !strings.Contains(strings.Join(at, " "), s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// TestPublish shows what the firewall and people are told.
func TestPublish(t *testing.T) {
	r := newRig(t)
	const specs = "8080:80 53:53/udp 81 [::1]:8443:443 127.0.0.1::82 9000-9001:90"
	published := r.publish(t, "box", specs)
	want := []string{
		"[::]:8080->80/tcp", "[2001:db8::a]:80/tcp", "0.0.0.0:8080->80/tcp",
		"[::1]:8443->443/tcp",
		"[::]:53->53/udp", "[2001:db8::a]:53/udp", "0.0.0.0:53->53/udp",
		"[::]:9000->90/tcp", "[2001:db8::a]:90/tcp", "0.0.0.0:9000->90/tcp",
		"0.0.0.0:40000->81/tcp", "[2001:db8::a]:81/tcp",
		"127.0.0.1:40001->82/tcp",
	}
	if diff := cmp.Diff(want, publish.Lines(dual, published)); diff != "" {
		t.Error(diff)
	}
	noHostPort := []firewall.Published{
		{Proto: 6, Port: 81, HostAddr: netip.IPv4Unspecified(), HostPort: 40000},
		{Proto: 6, Port: 81, HostAddr: netip.IPv6Unspecified(), Direct: true},
	}
	if diff := cmp.Diff(noHostPort, ofPort(published, 81), byValue); diff != "" {
		t.Error(diff)
	}
	list := []publish.Endpoint{{ID: "box", Addrs: dual, Published: published}}
	if diff := cmp.Diff(list, r.List(), byValue, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	r.log.Reset()
	if diff := cmp.Diff(published, r.publish(t, "box", specs), byValue); diff != "" {
		t.Errorf("published again:\n%s", diff)
	}
	if r.log.Len() > 0 {
		t.Errorf("published again, the log says:\n%s", r.log.String())
	}
	must(t, r.Unpublish("box"))
	must(t, r.Unpublish("box"))
	if have := open(t); len(have) > 0 || len(r.List()) > 0 {
		t.Errorf("unpublished, but held are %v and listed %v", have, r.List())
	}
}

// TestPublishAllOrNothing: a port that can not be had leaves none behind.
func TestPublishAllOrNothing(t *testing.T) {
	r := newRig(t)
	r.publish(t, "first", "8080:80")
	before := open(t)
	_, err := r.Publish("second", dual, mappings(t, "8000:80 8080:80 8001:80"), publish.Options{})
	want := "publish port 80/tcp: Bind for [::]:8080 failed: port is already allocated: " +
		"stop what has it (ss -ltnp sport = :8080, docker ps), or publish another host port with -p"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" || !errors.Is(err, hostport.ErrInUse) {
		t.Errorf("error %v\n%s", err, diff)
	}
	if diff := cmp.Diff(before, open(t)); diff != "" || len(r.List()) != 1 {
		t.Errorf("left behind: %v\n%s", r.List(), diff)
	}
	// What an endpoint had stays when a change of it can not be.
	if _, err := r.Publish("first", dual, mappings(t, "8080:80 8080:81"), publish.Options{}); !errors.Is(err, hostport.ErrInUse) {
		t.Errorf("error %v, want %v", err, hostport.ErrInUse)
	}
	if diff := cmp.Diff(before, open(t)); diff != "" {
		t.Error(diff)
	}
}

// TestPublishChanges keeps what is still wanted.
func TestPublishChanges(t *testing.T) {
	r := newRig(t)
	first := r.publish(t, "box", "80 8080:81")
	second := r.publish(t, "box", "80 8081:81")
	want := append(ofPort(second, 81), ofPort(first, 80)...)
	if diff := cmp.Diff(want, second, byValue); diff != "" {
		t.Error(diff)
	}
	if have := without(open(t), "0.0.0.0:40000 0.0.0.0:8081 [::]:8081"); len(have) > 0 {
		t.Errorf("held besides: %v", have)
	}
}

// ofPort returns what is published of one port of a container.
func ofPort(published []firewall.Published, port uint16) (some []firewall.Published) {
	for _, p := range published {
		if p.Port == port {
			some = append(some, p)
		}
	}
	return some
}

// TestIPv4MayBeTaken publishes for IPv6 alone when asked to, else not at all.
func TestIPv4MayBeTaken(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp4", "0.0.0.0:8080")
	must(t, err)
	defer l.Close()
	if _, err := r.Publish("box", dual, mappings(t, "8080:80"), publish.Options{}); !errors.Is(err, hostport.ErrInUse) {
		t.Errorf("error %v, want %v", err, hostport.ErrInUse)
	}
	published, err := r.Publish("box", dual, mappings(t, "8080:80"), publish.Options{IPv4MayBeTaken: true})
	must(t, err)
	if diff := cmp.Diff([]string{"[::]:8080->80/tcp", "[2001:db8::a]:80/tcp"}, publish.Lines(dual, published)); diff != "" {
		t.Error(diff)
	}
}

// TestPublishNAT6 has a container whose IPv6 nobody outside reaches: its ports
// are the host's, with the same number in both families.
func TestPublishNAT6(t *testing.T) {
	r := newRig(t)
	taken, err := net.Listen("tcp4", "0.0.0.0:40000")
	must(t, err)
	defer taken.Close()
	published, err := r.Publish("box", dual, mappings(t, "8080:80 81 [::1]:8443:443"), publish.Options{NAT6: true})
	must(t, err)
	want := []string{
		"[::]:8080->80/tcp", "0.0.0.0:8080->80/tcp", "[::1]:8443->443/tcp",
		"[::]:40001->81/tcp", "0.0.0.0:40001->81/tcp",
	}
	if diff := cmp.Diff(want, publish.Lines(dual, published)); diff != "" {
		t.Error(diff)
	}
}

// TestServe relays each family to the container's address of that family.
func TestServe(t *testing.T) {
	r := newRig(t)
	for _, a := range dual {
		l, err := net.Listen("tcp", netip.AddrPortFrom(a, 80).String())
		must(t, err)
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, a)
				c.Close()
			}
		}()
	}
	published := r.publish(t, "box", "8080:80")
	for range 2 { // Serving is repeated, and after a restart.
		must(t, r.Serve("box"))
		must(t, r.Serve("box"))
		for at, want := range map[string]netip.Addr{"[::1]:8080": addr6, "127.0.0.1:8080": addr4} {
			c, err := net.DialTimeout("tcp", at, 20*time.Second)
			must(t, err)
			got, err := io.ReadAll(c)
			if err != nil || string(got) != want.String() {
				t.Errorf("%s leads to %q, %v, want %s", at, got, err, want)
			}
			c.Close()
		}
		r.restart(t)
		must(t, r.Restore("box", dual, published))
	}
	must(t, r.Serve("nobody"))
}

// TestRestore takes the same ports again, but for those that another has now.
func TestRestore(t *testing.T) {
	r := newRig(t)
	const specs = "8080:80 81 82"
	published := r.publish(t, "box", specs)
	before := open(t)
	r.restart(t)
	l, err := net.Listen("tcp4", "0.0.0.0:8080")
	must(t, err)
	err = r.Restore("box", dual, published)
	want := "hold port 80/tcp of endpoint box again: Bind for 0.0.0.0:8080 failed: port is already allocated: " +
		"stop what has it (ss -ltnp sport = :8080, docker ps), or publish another host port with -p"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
	unheld := []firewall.Published{{Proto: 6, Port: 80, HostAddr: netip.IPv4Unspecified(), HostPort: 8080}}
	list := []publish.Endpoint{{ID: "box", Addrs: dual, Published: published, Unheld: unheld}}
	if diff := cmp.Diff(list, r.List(), byValue, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	l.Close()
	must(t, r.Restore("box", dual, published))
	must(t, r.Restore("box", dual, published))
	if diff := cmp.Diff(before, open(t)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(published, r.publish(t, "box", specs), byValue); diff != "" {
		t.Errorf("published after a restart:\n%s", diff)
	}
}

// TestSCTP: where the kernel can not hold a port, it is published all the
// same, and no two of ours get it.
func TestSCTP(t *testing.T) {
	r := newRig(t)
	published := r.publish(t, "box", "8080:80/sctp")
	want := []string{"[::]:8080->80/sctp", "[2001:db8::a]:80/sctp", "0.0.0.0:8080->80/sctp"}
	if diff := cmp.Diff(want, publish.Lines(dual, published)); diff != "" {
		t.Error(diff)
	}
	must(t, r.Serve("box"))
	if _, err := r.Publish("other", dual, mappings(t, "8080:80/sctp"), publish.Options{}); !errors.Is(err, hostport.ErrInUse) {
		t.Errorf("error %v, want %v", err, hostport.ErrInUse)
	}
	if lines := publish.Lines(dual, r.publish(t, "other", "8080-8081:80/sctp")); lines[0] != "[::]:8081->80/sctp" {
		t.Errorf("the range came to %v", lines)
	}
}

// TestTogether: many endpoints at once get ports of their own, and nothing is
// left of any.
func TestTogether(t *testing.T) {
	r := newRig(t)
	before := runtime.NumGoroutine()
	const n = 10
	var wg sync.WaitGroup
	for i := range 4 * n {
		all := mappings(t, "80 8000-8009:81")
		wg.Go(func() {
			id := fmt.Sprint(i % n)
			if _, err := r.Publish(id, dual, all, publish.Options{}); err != nil {
				t.Error(err)
			}
			if err := r.Serve(id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[netip.AddrPort]string{}
	for _, e := range r.List() {
		for _, p := range e.Published {
			at := netip.AddrPortFrom(p.HostAddr, p.HostPort)
			if p.HostPort != 0 && seen[at] != "" {
				t.Errorf("%s and %s both have %s", seen[at], e.ID, at)
			}
			seen[at] = e.ID
		}
	}
	for i := range 2 * n {
		wg.Go(func() {
			if err := r.Unpublish(fmt.Sprint(i % n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if have := open(t); len(have) > 0 || len(r.List()) > 0 {
		t.Errorf("held are %v, listed %v", have, r.List())
	}
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
