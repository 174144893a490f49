package ipam_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	api "github.com/docker/go-plugins-helpers/ipam"
)

// FuzzPoolID: an id is refused, or it is one that we would answer ourselves for
// what it says.
func FuzzPoolID(f *testing.F) {
	for _, id := range []string{
		"ndp6,pool=2001:db8::/80", "ndp6,pool=2001:db8::/80,range=2001:db8::1000/116,iid=name", "ndp6,pool=10.0.0.0/24",
		"ndp6,ipv4=none", "ndp6,pool=::/0", "ndp6,pool=2001:db8::5/80", "ndp6", "", "p6-fd50::/80", "ndp6,iid=mac,pool=2001:db8::/80",
	} {
		f.Add(id)
	}
	const mac = "02:42:ac:11:00:02"
	f.Fuzz(func(t *testing.T, id string) {
		l := newLab(t, nil)
		ctx := context.Background()
		r, err := l.RequestAddress(ctx, &api.RequestAddressRequest{PoolID: id, Options: map[string]string{"com.docker.network.endpoint.macaddress": mac}})
		if free := l.ReleasePool(ctx, &api.ReleasePoolRequest{PoolID: id}); free != nil {
			t.Errorf("ReleasePool: %v", free)
		}
		if err != nil {
			return
		}
		cidr := netip.MustParsePrefix(r.Address)
		if err := l.ReleaseAddress(ctx, &api.ReleaseAddressRequest{PoolID: id, Address: cidr.Addr().String()}); err != nil {
			t.Errorf("ReleaseAddress: %v", err)
		}
		ask := &api.RequestPoolRequest{Pool: cidr.Masked().String(), V6: cidr.Addr().Is6(), Options: map[string]string{}}
		for field := range strings.SplitSeq(id, ",") {
			if v, ok := strings.CutPrefix(field, "range="); ok {
				ask.SubPool = v
			}
			if v, ok := strings.CutPrefix(field, "iid="); ok {
				ask.Options["ndp6.iid"] = v
			}
		}
		again, err := l.RequestPool(ctx, ask)
		if err != nil || again.PoolID != id {
			t.Errorf("RequestPool(%v) = %v, %v; want id %q", ask, again, err, id)
		}
	})
}

// FuzzOptions: no option of ours is accepted unless it is known with its value.
func FuzzOptions(f *testing.F) {
	for _, o := range [][2]string{{"ndp6.iid", "name"}, {"ndp6.iid", "eui64"}, {"ndp6.ipv4", "none"}, {"ndp6.base", "1"}, {"other", "x"}, {"ndp6.", ""}} {
		f.Add(o[0], o[1])
	}
	known := map[[2]string]bool{{"ndp6.ipv4", "none"}: true}
	for _, mode := range []string{"mac", "name", "sequential", "opaque", "packed"} {
		known[[2]string{"ndp6.iid", mode}] = true
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		l := newLab(t, nil)
		_, err := l.RequestPool(context.Background(), &api.RequestPoolRequest{Pool: "2001:db8::/80", V6: true, Options: map[string]string{key: value}})
		want := known[[2]string{key, value}] || !strings.HasPrefix(key, "ndp6.")
		if (err == nil) != want {
			t.Errorf("option %q=%q: %v", key, value, err)
		}
		if err != nil && !strings.Contains(err.Error(), key) {
			t.Errorf("error does not name the option %q: %v", key, err)
		}
	})
}

// FuzzRequestAddress: an address is refused and leaves nothing, or it is an
// address of the pool that nobody else gets, until it is released.
func FuzzRequestAddress(f *testing.F) {
	for _, seed := range [][4]string{
		{"", "02:42:ac:11:00:02", "web", ""},
		{"2001:db8::1:2", "", "", ""},
		{"2001:db8::", "02:42:ac:11:00:02", "", ""},
		{"fe80::1", "", "", "com.docker.network.gateway"},
		{"fe80::1%eth0", "01:00:5e:00:00:01", "\x00", "com.docker.network.gateway"},
		{"::ffff:10.0.0.1", "02-42-ac-11-00-02", strings.Repeat("n", 300), "other"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	pool := netip.MustParsePrefix("2001:db8::/80")
	f.Fuzz(func(t *testing.T, addr, mac, name, kind string) {
		l := newLab(t, nil)
		ctx := context.Background()
		p, err := l.RequestPool(ctx, &api.RequestPoolRequest{Pool: pool.String(), V6: true})
		if err != nil {
			t.Fatal(err)
		}
		ask := &api.RequestAddressRequest{PoolID: p.PoolID, Address: addr, Options: map[string]string{}}
		for key, value := range map[string]string{
			"com.docker.network.endpoint.macaddress": mac, "com.docker.network.endpoint.name": name, "RequestAddressType": kind,
		} {
			if value != "" {
				ask.Options[key] = value
			}
		}
		before := l.leases.snapshot()
		r, err := l.RequestAddress(ctx, ask)
		if err != nil {
			if len(l.leases.snapshot()) > len(before) {
				t.Errorf("error %v, but leased is %v", err, l.leases.snapshot())
			}
			return
		}
		cidr, err := netip.ParsePrefix(r.Address)
		if err != nil || !pool.Contains(cidr.Addr()) && !cidr.Addr().IsLinkLocalUnicast() {
			t.Fatalf("address %q, error %v", r.Address, err)
		}
		if err := l.restart(); err != nil {
			t.Fatal(err)
		}
		ask.Options["com.docker.network.endpoint.macaddress"] = "02:42:ac:11:00:99"
		ask.Address = cidr.Addr().String()
		if ask.Options["RequestAddressType"] == "" {
			if r, err := l.RequestAddress(ctx, ask); err == nil {
				t.Errorf("%v was given twice", r)
			}
		}
		if err := l.ReleaseAddress(ctx, &api.ReleaseAddressRequest{PoolID: p.PoolID, Address: cidr.Addr().String()}); err != nil {
			t.Errorf("ReleaseAddress: %v", err)
		}
		if left := l.leases.snapshot(); len(left) > 0 {
			t.Errorf("left is %v", left)
		}
	})
}

// FuzzLoad: whatever the records say, IPAM starts with them or says that it
// does not, and lends nothing twice.
func FuzzLoad(f *testing.F) {
	for _, seed := range [][4]string{
		{"ndp6,pool=2001:db8::/80", `{"prefix":"2001:db8::/80","source":"given"}`, "2001:db8::2", `{"pool":"ndp6,pool=2001:db8::/80","addr":"2001:db8::2","mac":"02:42:ac:11:00:02"}`},
		{"ndp6,pool=2001:db8::/80", `{"prefix":"2001:db8::/80","source":"given","released":true}`, "x", `{"pool":"ndp6,pool=10.0.0.0/24","addr":"10.0.0.2"}`},
		{"", `{}`, "", `{}`},
		{"ndp6,pool=::/0", `{"prefix":"::/0","gateway":"10.0.0.1","aux":["","::1"]}`, "::", `{"pool":"ndp6,pool=::/0"}`},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, pool, record, key, lease string) {
		l := newLab(t, nil)
		l.pools.records = map[string]string{pool: record}
		l.leases.records = map[string]string{key: lease}
		if err := l.restart(); err != nil {
			return
		}
		ctx := context.Background()
		p, err := l.RequestPool(ctx, &api.RequestPoolRequest{Pool: "2001:db8::/80", V6: true})
		if err != nil {
			return
		}
		if again, err := l.RequestPool(ctx, &api.RequestPoolRequest{Pool: "2001:db8::/80", V6: true}); err == nil {
			t.Errorf("%v was lent twice", again)
		}
		options := map[string]string{"com.docker.network.endpoint.macaddress": "02:42:ac:11:00:99"}
		if _, err := l.RequestAddress(ctx, &api.RequestAddressRequest{PoolID: p.PoolID, Options: options}); err != nil {
			t.Errorf("RequestAddress: %v", err)
		}
	})
}
