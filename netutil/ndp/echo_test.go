package ndp_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func TestAsk(t *testing.T) {
	router := netip.MustParseAddr("fe80::2")
	for _, tt := range []struct {
		name string
		// host and peer are what is done on the two sides.
		host, peer []string
		want       ndp.Echo
	}{
		{
			name: "proxied",
			host: []string{"sysctl -qw net.ipv6.conf.eth0.forwarding=1 net.ipv6.conf.eth0.proxy_ndp=1 net.ipv6.neigh.eth0.proxy_delay=0", "ip -6 neigh add proxy 2001:db8::42:ac11:2 dev eth0"},
			want: ndp.Echo{Replied: true, Solicited: true, Answered: true},
		},
		{name: "not proxied", want: ndp.Echo{Solicited: true}},
		{name: "known", peer: []string{"ip -6 neigh add 2001:db8::42:ac11:2 lladdr 02:42:00:00:00:01 dev eth0"}, want: ndp.Echo{Replied: true}},
		{name: "known elsewhere", peer: []string{"ip -6 neigh add 2001:db8::42:ac11:2 lladdr 02:42:00:00:00:07 dev eth0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link, peer := lan(t)
			nettest.RunIn(t, peer, "ip addr add 2001:db8::9/64 dev eth0 nodad")
			nettest.Run(t, tt.host...)
			nettest.RunIn(t, peer, tt.peer...)
			got, err := ndp.Ask(t.Context(), link, target, router, peerMAC, wait)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("echo (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("canceled", func(t *testing.T) {
		link, _ := lan(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := ndp.Ask(ctx, link, target, netip.MustParseAddr("fe80::7"), peerMAC, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > wait {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestSolicit(t *testing.T) {
	link, peer := lan(t)
	if r, ok, err := ndp.Solicit(t.Context(), link, 50*time.Millisecond); ok || err != nil {
		t.Errorf("nobody there: %+v, %v, %v", r, ok, err)
	}
	nettest.Router(t, peer, "eth0", netip.MustParseAddr("fe80::2"), nettest.RA{Router: time.Minute})
	r, ok, err := ndp.Solicit(t.Context(), link, wait)
	if err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	want := ndp.Router{Addr: netip.MustParseAddr("fe80::2"), MAC: peerMAC, Lifetime: time.Minute}
	if diff := cmp.Diff(want, r, byValue); diff != "" {
		t.Errorf("router (-want +got):\n%s", diff)
	}
	link.Index += 100
	if _, _, err := ndp.Solicit(t.Context(), link, wait); err == nil {
		t.Error("no such link, and no error")
	}
}
