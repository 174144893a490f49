package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// etcd gives blocks in order, and keeps what was asked of it.
type etcd struct {
	taken []netip.Prefix
	away  bool
	calls []string
}

func (e *etcd) Claim(_ context.Context, base netip.Prefix, bits int, busy []netip.Prefix) (netip.Prefix, error) {
	if e.away {
		return netip.Prefix{}, errors.New("etcd does not answer")
	}
	p, ok := inet.FreeSubnet(base, bits, 1, 1, append(busy, e.taken...))
	if !ok {
		return netip.Prefix{}, inet.ErrConflict
	}
	e.taken = append(e.taken, p)
	e.calls = append(e.calls, fmt.Sprintf("claim %s of %s", p, base))
	return p, nil
}

func (e *etcd) ClaimThis(_ context.Context, base, p netip.Prefix) error {
	if e.away {
		return errors.New("etcd does not answer")
	}
	e.calls = append(e.calls, fmt.Sprintf("claim this %s of %s", p, base))
	return nil
}

func (e *etcd) Release(p netip.Prefix) { e.calls = append(e.calls, "release "+p.String()) }

func TestClaims(t *testing.T) {
	var cluster etcd
	l := newLab(t, func(c *ipam.Config, f *source.Facts) {
		anUplink(c, f)
		c.Claims = &cluster
		f.Foreign.Addrs = []inet.HostAddr{{Addr: netip.MustParseAddr("2001:db8:0:0:1::7"), Link: "eth0"}}
		// The link's own prefix is no obstacle, a route to a part of it is.
		f.Foreign.Routes = []inet.HostRoute{
			{Dst: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("2001:db8:0:0:2::/80"), Link: "eth0"},
		}
	})
	play := func(script string) {
		t.Helper()
		if diff := cmp.Diff(strings.TrimPrefix(script, "\n"), l.play(script)); diff != "" {
			t.Error(diff)
		}
	}
	play(`
> pool4 ndp6.base=2001:db8::/64
ndp6,pool=10.166.0.0/24
> pool6 ndp6.base=2001:db8::/64
ndp6,pool=2001:db8:0:0:3::/80 fe80::1/64
> pool6 ndp6.base=2001:db8::/64 ndp6.prefix_len=78
ndp6,pool=2001:db8:0:0:4::/78 fe80::1/64
> pool6 ndp6.base=2001:db8::/64 ndp6.source=ula
error: --ipam-opt ndp6.base=2001:db8::/64 contradicts --ipam-opt ndp6.source=ula: leave one of them out
> pool6 ndp6.base=eth0
error: --ipam-opt ndp6.base=eth0: want an IPv6 prefix such as 2001:db8::/64
> pool6 ndp6.base=2001:db8::/64 2001:db8:1::/80
error: --ipam-opt ndp6.base=2001:db8::/64: --subnet 2001:db8:1::/80 is not in it: leave out --subnet to get a block that is free
> endpoint 2001:db8:0:0:3::/80 mac=02
2001:db8::3:242:ac11:2/80
`)
	// Without etcd what has its block goes on, through a restart of everything.
	cluster.away = true
	play(`
> plugin
ok
> dockerd
ok
> pool6 ndp6.base=2001:db8::/64 2001:db8:0:0:3::/80
ndp6,pool=2001:db8:0:0:3::/80 fe80::1/64
> endpoint 2001:db8:0:0:3::/80 mac=03
2001:db8::3:242:ac11:3/80
> pool6 ndp6.base=2001:db8::/64
error: --ipam-opt ndp6.base=2001:db8::/64: etcd does not answer
> pool6
ndp6,pool=2001:db8:0:0:afb0::/80 fe80::1/64
> free 2001:db8:0:0:4::/78
ok
> host
ok
> free 2001:db8:0:0:3::/80
ok
`)
	// A store that was lost: the block is given, and claimed again.
	cluster.away = false
	play(`
> pool6 ndp6.base=2001:db8::/64 2001:db8:0:0:3::/80
ndp6,pool=2001:db8:0:0:3::/80 fe80::1/64
`)
	if diff := cmp.Diff([]netip.Prefix{netip.MustParsePrefix("2001:db8:0:0:3::/80")}, l.Claimed(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	// What cannot be recorded is given back.
	l.pools.broken = true
	if got := l.call("pool6 ndp6.base=2001:db8::/64"); !strings.Contains(got, "no space left") {
		t.Error(got)
	}
	want := []string{
		"claim 2001:db8:0:0:3::/80 of 2001:db8::/64", "claim 2001:db8:0:0:4::/78 of 2001:db8::/64",
		"release 2001:db8:0:0:4::/78", "release 2001:db8:0:0:3::/80",
		"claim this 2001:db8:0:0:3::/80 of 2001:db8::/64",
		"claim 2001:db8:0:0:8::/80 of 2001:db8::/64", "release 2001:db8:0:0:8::/80",
	}
	if diff := cmp.Diff(want, cluster.calls); diff != "" {
		t.Errorf("asked of etcd (-want +got):\n%s", diff)
	}
}

func TestClaimWithoutEtcd(t *testing.T) {
	l := newLab(t, anUplink)
	want := "error: --ipam-opt ndp6.base=2001:db8::/64: no etcd is set that has the blocks of other hosts: give --etcd (NDP6_ETCD)"
	if got := l.call("pool6 ndp6.base=2001:db8::/64"); got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}
