package responder_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

// benchTargets is how many addresses there are, but where there are none.
const benchTargets = 10_000

// benchTarget is one of them: of 32 solicited-node groups, as packed pools are.
func benchTarget(i int) netip.Addr {
	a := pool.Addr().As16()
	binary.BigEndian.PutUint32(a[8:], uint32(i/32))
	a[15] = byte(i % 32)
	return netip.AddrFrom16(a)
}

// A bench is a host between a router, on whose lan0 things are sent, and a sink.
type bench struct {
	tb           testing.TB
	host, router string
	sink         string
	fd           int
}

// newBench makes a host that forwards to what would be containers. It has
// proxy entries for benchTargets addresses where proxy says so.
func newBench(tb testing.TB, proxy bool) *bench {
	tb.Helper()
	h := &bench{tb: tb, host: nettest.Another(tb), router: nettest.Another(tb), sink: nettest.Another(tb)}
	nettest.RunIn(tb, h.host,
		"sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1",
		"ip link add eth0 address 02:42:00:00:00:05 type veth peer name lan0 address 02:42:00:00:00:01 netns "+h.router,
		"ip link add br0 type veth peer name sink0 address 02:42:00:00:00:77 netns "+h.sink,
		"ip link set eth0 up", "ip link set br0 up",
		"ip addr add fe80::5/64 dev eth0 nodad", "ip -6 route add 2001:db8::/32 dev br0")
	nettest.RunIn(tb, h.router, "sysctl -qw net.ipv6.conf.lan0.disable_ipv6=1", "ip link set lan0 up")
	// Nobody is behind the sink, and its kernel is not to spend time on saying so.
	nettest.RunIn(tb, h.sink, "sysctl -qw net.ipv6.conf.sink0.disable_ipv6=1", "ip link set sink0 up")
	batch := new(strings.Builder)
	for i := range benchTargets {
		if proxy {
			fmt.Fprintf(batch, "neigh add proxy %s dev eth0\n", benchTarget(i))
		}
		if i%100 == 0 {
			fmt.Fprintf(batch, "neigh add %s dev br0 lladdr 02:42:00:00:00:77 nud permanent\n", benchTarget(i))
		}
	}
	path := filepath.Join(tb.TempDir(), "batch")
	if err := os.WriteFile(path, []byte(batch.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	nettest.RunIn(tb, h.host, "ip -6 -batch "+path)
	if proxy {
		nettest.RunIn(tb, h.host, "sysctl -qw net.ipv6.conf.eth0.proxy_ndp=1 net.ipv6.neigh.eth0.proxy_delay=0")
	}
	err := netns.Do(h.router, func() error {
		ifi, err := net.InterfaceByName("lan0")
		if err != nil {
			return err
		}
		// It takes packets from us and gives us none.
		if h.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(h.fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index})
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(h.fd) })
	return h
}

// respond attaches a responder with all targets to the uplink.
func (h *bench) respond() *responder.Responder {
	h.tb.Helper()
	var r *responder.Responder
	err := netns.Do(h.host, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		r, err = responder.New(responder.Config{Index: ifi.Index, Name: "eth0", MAC: ourMAC, Source: linkLocal})
		return err
	})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { r.Close() })
	for i := range benchTargets {
		if err := r.Add(benchTarget(i)); err != nil {
			h.tb.Fatal(err)
		}
	}
	attach(h.tb, r)
	return r
}

// counter returns a function that tells how many packets a link of a namespace has received.
func counter(tb testing.TB, ns, link string) func() int {
	tb.Helper()
	var tc *netlink.Handle
	err := netns.Do(ns, func() (err error) {
		tc, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(tc.Close)
	return func() int {
		l, err := tc.LinkByName(link)
		if err != nil {
			tb.Fatal(err)
		}
		return int(l.Attrs().Statistics.RxPackets)
	}
}

// A burst is frames that one system call sends.
type burst struct {
	messages []mmsghdr
	iovecs   []unix.Iovec
}

// mmsghdr is that of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	_      uint64
}

func newBurst(frames [][]byte) *burst {
	b := &burst{messages: make([]mmsghdr, len(frames)), iovecs: make([]unix.Iovec, len(frames))}
	for i, f := range frames {
		b.iovecs[i].Base = &f[0]
		b.iovecs[i].SetLen(len(f))
		b.messages[i].header.Iov = &b.iovecs[i]
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// send sends a burst, and returns how many frames were.
func (h *bench) send(b *burst) int {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(h.fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(len(b.messages)), 0, 0, 0)
	if errno != 0 {
		h.tb.Fatal(errno)
	}
	return int(n)
}

// BenchmarkForwarding compares hosts with 10,000 addresses with one that has
// none: how many small packets each forwards from the uplink in a second of CPU
// time, so that others on the machine count little.
func BenchmarkForwarding(b *testing.B) {
	const parts, part = 20, 20 * time.Millisecond
	nettest.Enter(b)
	hosts := []*bench{newBench(b, false), newBench(b, true), newBench(b, true)}
	hosts[1].respond()
	nettest.RunIn(b, hosts[2].host, "sysctl -qw net.ipv6.conf.all.proxy_ndp=1")
	var frames [][]byte
	for i := 0; i < benchTargets; i += 100 {
		frames = append(frames, udp(benchTarget(i)))
	}
	out := newBurst(frames)
	var sinks []func() int
	for _, h := range hosts {
		sinks = append(sinks, counter(b, h.sink, "sink0"))
	}
	runtime.LockOSThread() // The links are virtual: who sends does the host's work too.
	defer runtime.UnlockOSThread()
	rates := make([][]float64, len(hosts))
	for b.Loop() {
		for n := range parts * len(hosts) {
			i := n % len(hosts)
			before, cpu, begin := sinks[i](), threadTime(b), time.Now()
			for time.Since(begin) < part {
				hosts[i].send(out)
			}
			spent := threadTime(b) - cpu
			rates[i] = append(rates[i], float64(sinks[i]()-before)/spent.Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rates[0]), "none-packets/s")
	b.ReportMetric(median(rates[1])/median(rates[0]), "responder/none")
	b.ReportMetric(median(rates[2])/median(rates[0]), "proxy/none")
}

// udp is a small packet to forward.
func udp(to netip.Addr) []byte {
	body := make([]byte, 8+18)
	binary.BigEndian.PutUint16(body, 9)
	binary.BigEndian.PutUint16(body[2:], 9)
	body[5] = byte(len(body))
	// Who forwards does not look at the checksum.
	f := message(routerMAC, ourMAC, netip.MustParseAddr("2001:db8:f::1"), to, 64, body)
	f[20] = 17
	return f
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkSolicitations asks 50,000 times a second for two seconds for 10,000
// addresses, and says how many answers come and what each costs: the program
// alone, and the host from the frame that comes in to the one that goes out.
func BenchmarkSolicitations(b *testing.B) {
	nettest.Enter(b)
	h := newBench(b, true)
	r := h.respond()
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	// Frames to another MAC cost what it takes to send them, and then the host ignores them.
	asked, ignored := solicitations(ourMAC), solicitations(otherMAC)
	runtime.LockOSThread() // The links are virtual: who sends does the host's work too.
	defer runtime.UnlockOSThread()
	arrived := counter(b, h.router, "lan0")
	var answers, cost, program []float64
	for b.Loop() {
		before, runs := arrived(), ran(b, r)
		sent, spent := h.pace(asked)
		answers = append(answers, float64(arrived()-before)/float64(sent)*100)
		took := ran(b, r) - runs
		program = append(program, float64(took)/float64(sent))
		idle, nothing := h.pace(ignored)
		cost = append(cost, float64(spent)/float64(sent)-float64(nothing)/float64(idle))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(answers), "%answered")
	b.ReportMetric(median(cost), "CPU-ns/answer")
	b.ReportMetric(median(program), "program-ns/answer")
}

// atOnce is how many solicitations one system call sends.
const atOnce = 50

// solicitations asks a MAC for all targets.
func solicitations(to inet.MAC) []*burst {
	var bursts []*burst
	for i := 0; i < benchTargets; i += atOnce {
		var frames [][]byte
		for j := range atOnce {
			s := usual()
			ask(benchTarget(i + j))(&s)
			s.to = to
			frames = append(frames, s.frame())
		}
		bursts = append(bursts, newBurst(frames))
	}
	return bursts
}

// pace sends 50,000 frames a second for two seconds. It returns their number
// and the CPU time of the calling thread.
func (h *bench) pace(bursts []*burst) (sent int, cpu time.Duration) {
	h.tb.Helper()
	cpu, begin := threadTime(h.tb), time.Now()
	for i := 0; ; i++ {
		due := time.Duration(i) * atOnce * time.Second / 50_000
		if due >= 2*time.Second {
			break
		}
		if wait := due - time.Since(begin); wait > 0 {
			time.Sleep(wait)
		}
		sent += h.send(bursts[i%len(bursts)])
	}
	if took := time.Since(begin); took > 2200*time.Millisecond {
		h.tb.Logf("to send for two seconds took %s", took)
	}
	return sent, threadTime(h.tb) - cpu
}

// ran is how long the program ran.
func ran(tb testing.TB, r *responder.Responder) time.Duration {
	tb.Helper()
	d, err := r.Ran()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// threadTime is what the calling thread has had of the CPU.
func threadTime(tb testing.TB) time.Duration {
	tb.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}
