package plugin_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
)

// statusPromise is how long the operator of a thousand containers waits.
const statusPromise = 100 * time.Millisecond

// BenchmarkStatus is what ndp6 status does: ask the plugin, which observes the
// whole host and compares, decode the answer, and write it as text. Every
// endpoint has its veth pair, neighbor and proxy entry in the kernel.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("endpoints=%d", size), func(b *testing.B) {
			nettest.Enter(b)
			nettest.Run(b,
				"ip link add eth0 type veth peer name lan0", "ip link set lan0 up", "ip link set eth0 up",
				"ip addr add fe80::5/64 dev eth0 nodad", "ip addr add 2001:db8::5/64 dev eth0 nodad",
				"ip -6 route add default via fe80::9 dev eth0",
			)
			dir := b.TempDir()
			endpoints := record(b, dir, size)
			_, stop := start(b, dir)
			stop()
			attach(b, endpoints)
			_, stop = start(b, dir)
			defer stop()
			var text bytes.Buffer
			for b.Loop() {
				s, err := admin.Get(b.Context(), dir)
				if err != nil {
					b.Fatal(err)
				}
				text.Reset()
				if err := report.Write(&text, s); err != nil {
					b.Fatal(err)
				}
				if len(s.Endpoints) != size || s.Networks[0].ProxyEntries != size || s.Findings() > 0 {
					b.Fatalf("%d endpoints, %d proxy entries, %d findings\n%.2000s", len(s.Endpoints), s.Networks[0].ProxyEntries, s.Findings(), text.String())
				}
			}
			if took := b.Elapsed() / time.Duration(b.N); took > statusPromise {
				b.Errorf("an answer took %v, want %v", took, statusPromise)
			}
		})
	}
}
