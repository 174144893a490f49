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
