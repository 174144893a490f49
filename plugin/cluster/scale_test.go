package cluster_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

// BenchmarkThousandHosts is what one host sees of a cluster of 1,000 hosts with
// 100 networks each: until it knows all of them, and for each claim.
func BenchmarkThousandHosts(b *testing.B) {
	const hosts, networks = 1000, 100
	server := etcdtest.Start(b)
	client, err := etcd.New(etcd.Config{Endpoints: []string{server.URL}})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	base := netip.MustParsePrefix("2001:db8::/56")
	begin := time.Now()
	if err := etcdtest.Fill(b.Context(), client, base, hosts, networks, netip.MustParseAddr("fe80::5")); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d claims written in %s", hosts*networks, time.Since(begin).Round(time.Millisecond))

	b.Run("join", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			n := join(b, server, fmt.Sprintf("joins%d", i), options{})
			for len(n.Status().Peers) < hosts {
				<-n.news
			}
			b.StopTimer()
			b.ReportMetric(float64(len(n.Routes(nil))), "routes")
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-heap")
			n.stop()
			b.StartTimer()
		}
	})
	b.Run("claim", func(b *testing.B) {
		n := join(b, server, "claims", options{})
		if _, err := n.Claim(b.Context(), base, 80, nil); err != nil { // once it is a member
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := n.Claim(b.Context(), base, 80, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("keepalive", func(b *testing.B) {
		lease, err := client.Grant(b.Context(), time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := client.Keep(b.Context(), lease); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		n := join(b, server, "lists", options{})
		for b.Loop() {
			if all, err := n.Claims(b.Context()); err != nil || len(all) < hosts*networks {
				b.Fatal(len(all), err)
			}
		}
	})
	b.Logf("etcd has %.0f MB of memory", server.Resident(b)/1e6)
}
