package cluster_test

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

func TestHostsFindEachOther(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", options{}), join(t, server, "b", options{})
	of := map[string]netip.Prefix{"a": claim(t, a, link64), "b": claim(t, b, link64)}
	c := join(t, server, "c", options{})
	c.await(t, "two hosts", lines(of))
	a.await(t, "one peer", lines(map[string]netip.Prefix{"b": of["b"]}))

	a.Release(of["a"])
	c.await(t, "network removed", lines(map[string]netip.Prefix{"b": of["b"]}))
	b.stop()
	c.await(t, "host left", "")
}

// A plugin that stops while containers run, or is killed, loses nothing.
func TestStopWithContainers(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var answers atomic.Bool
	answers.Store(true)
	short := options{lease: time.Second, hold: time.Second, busy: true}
	a := join(t, server, "a", short)
	watching := short
	watching.answers = answers.Load
	b := join(t, server, "b", watching)
	p := claim(t, a, link64)
	want := lines(map[string]netip.Prefix{"a": p})
	b.await(t, "claimed", want)
	a.stop()
	for b.Status().Peers[0].State != "answering" {
		if got := b.routes(); got != want {
			t.Fatalf("routes while the plugin is away:\n%s", got)
		}
		time.Sleep(time.Millisecond)
	}
	again := join(t, server, "a", options{held: []netip.Prefix{p}, lease: time.Second, hold: time.Second, busy: true})
	for b.Status().Peers[0].State != "alive" {
		time.Sleep(time.Millisecond)
	}
	if got := b.routes(); got != want {
		t.Errorf("routes when the plugin is back:\n%s", got)
	}
	again.stop()
	answers.Store(false)
	begin := time.Now()
	b.await(t, "host dead", "")
	t.Logf("a dead host's routes went after %s", time.Since(begin))
	if _, err := b.Reap(t.Context(), "nobody"); err == nil {
		t.Error("a host without claims is reaped")
	}
	freed, err := b.Reap(t.Context(), "name of a")
	if err != nil || len(freed) != 1 || freed[0] != p {
		t.Errorf("reaped %v, %v, want %s", freed, err, p)
	}
	if got := claim(t, b, netip.PrefixFrom(p.Addr(), 80)); got != p {
		t.Errorf("claimed %s, want %s, which was reaped", got, p)
	}
}

func TestReapRefuses(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", options{}), join(t, server, "b", options{})
	claim(t, a, link64)
	if freed, err := b.Reap(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "it is alive") {
		t.Errorf("a host that is alive is reaped: %v, %v", freed, err)
	}
	if freed, err := a.Reap(t.Context(), "a"); err != nil || len(freed) > 0 {
		t.Errorf("blocks of networks are reaped: %v, %v", freed, err)
	}
	if all, err := b.Claims(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("claims: %+v, %v", all, err)
	}
}

// T7 of the design.
func TestClonedMachine(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	original := join(t, server, "a", options{boot: "one", nextHop: "fe80::1"})
	p := claim(t, original, link64)
	other := join(t, server, "b", options{})
	want := "a " + p.String() + " via fe80::1\n"
	other.await(t, "original", want)

	clone := join(t, server, "a", options{boot: "two", nextHop: "fe80::2"})
	_, err := clone.Claim(t.Context(), link64, 80, nil)
	if err == nil || !strings.Contains(err.Error(), `another host at fe80::1 (name of a) has the id "a"`) || !strings.Contains(err.Error(), "systemd-machine-id-setup or --host-id") {
		t.Errorf("a clone claims: %v", err)
	}
	if got := other.routes(); got != want {
		t.Errorf("routes with a clone:\n%s", got)
	}
	clone.stop()
	claim(t, original, link64)

	// The same host after a boot that took less than its lease.
	rebooted := join(t, server, "a", options{boot: "three", nextHop: "fe80::1", held: []netip.Prefix{p}})
	claim(t, rebooted, link64)
}

// A record that is damaged or hostile is nobody's route.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	for key, value := range map[string]string{
		"/ndp6/v1/live/evil":  `{"host":"evil","boot_id":"x","next_hop":"fe80::9","prefixes":["::/0"]}`,
		"/ndp6/v1/live/half":  `{"host":"half"`,
		"/ndp6/v1/prefix/bad": `{`,
		"/ndp6/v1/prefix/2001:0db8:0000:0001:0000:0000:0000:0000/66": `none`,
	} {
		server.Call(t, "/v3/kv/put", map[string]any{"key": []byte(key), "value": []byte(value)})
	}
	a, b := join(t, server, "a", options{}), join(t, server, "b", options{})
	p := claim(t, a, link64)
	b.await(t, "one host", lines(map[string]netip.Prefix{"a": p}))
	if netip.MustParsePrefix("2001:db8:0:1::/66").Overlaps(p) {
		t.Errorf("claimed %s, inside a claim that cannot be read", p)
	}
}
