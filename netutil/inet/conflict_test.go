package inet_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/netutil/inet"
)

func TestCheckPool(t *testing.T) {
	host := inet.Foreign{
		Addrs: []inet.HostAddr{
			{Addr: netip.MustParseAddr("2001:db8::1"), Link: "eth0"},
			{Addr: netip.MustParseAddr("192.0.2.1"), Link: "eth0"},
		},
		Routers: []inet.HostAddr{{Addr: netip.MustParseAddr("2001:db8:0:0:f::1"), Link: "eth0"}},
		Routes: []inet.HostRoute{
			{Dst: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("10.8.0.0/16"), Link: "tun0"},
			{Dst: netip.MustParsePrefix("2001:db8:1:2::/64"), Link: "tun0"},
			{Dst: netip.MustParsePrefix("2001:db8:5::/56")},
			{Dst: netip.MustParsePrefix("172.16.0.0/12")},
		},
	}
	tests := []struct {
		name, pool, err string
	}{
		{name: "inside the on-link prefix", pool: "2001:db8::1:0:0:0/80"},
		{name: "elsewhere", pool: "fd00::/64"},
		{name: "IPv4 elsewhere", pool: "10.9.0.0/16"},
		{name: "inside a prefix that was delegated to the host", pool: "2001:db8:5::/64"},
		{
			name: "all of a prefix that was delegated to the host", pool: "2001:db8:5::/56",
			err: "pool 2001:db8:5::/56 covers the host's route 2001:db8:5::/56 to nowhere: use a --subnet beside it, or a longer one inside it: conflict",
		},
		{name: "IPv4 inside what a host keeps from its router", pool: "172.16.5.0/24"},
		{
			name: "holds the host's address", pool: "2001:db8::/80",
			err: "pool 2001:db8::/80 contains the host's address 2001:db8::1 on eth0: use a --subnet without it: conflict",
		},
		{
			name: "holds the router's address", pool: "2001:db8:0:0:f::/80",
			err: "pool 2001:db8:0:0:f::/80 contains the address 2001:db8::f:0:0:1 of the router on eth0: use a --subnet without it: conflict",
		},
		{
			name: "covers a route", pool: "2001:db8:1::/48",
			err: "pool 2001:db8:1::/48 covers the host's route 2001:db8:1:2::/64 on tun0: use a --subnet beside it, or a longer one inside it: conflict",
		},
		{
			name: "IPv4 around a route", pool: "10.0.0.0/8",
			err: "pool 10.0.0.0/8 overlaps the host's route 10.8.0.0/16 on tun0: use a --subnet beside it: conflict",
		},
		{
			name: "IPv4 inside a route", pool: "10.8.1.0/24",
			err: "pool 10.8.1.0/24 overlaps the host's route 10.8.0.0/16 on tun0: use a --subnet beside it: conflict",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := host.CheckPool(netip.MustParsePrefix(test.pool))
			if got := message(err); got != test.err {
				t.Errorf("got error  %s\nwant error %s", got, test.err)
			}
			if err != nil && !errors.Is(err, inet.ErrConflict) {
				t.Error("the error does not wrap ErrConflict")
			}
		})
	}
}

func TestCheckOverlap(t *testing.T) {
	used := []netip.Prefix{netip.MustParsePrefix("2001:db8::/80"), netip.MustParsePrefix("10.9.0.0/16")}
	tests := []struct {
		name, pool, err string
	}{
		{name: "beside", pool: "2001:db8::1:0:0:0/80"},
		{name: "inside", pool: "10.9.1.0/24", err: "pool 10.9.1.0/24 overlaps pool 10.9.0.0/16 of another network: use another --subnet: conflict"},
		{name: "around", pool: "2001:db8::/64", err: "pool 2001:db8::/64 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(inet.CheckOverlap(netip.MustParsePrefix(test.pool), used)); got != test.err {
				t.Errorf("got error  %s\nwant error %s", got, test.err)
			}
		})
	}
}
