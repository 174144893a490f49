package ipam_test

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRandom(t *testing.T) {
	tests := []struct {
		name, pool, endpoint string
		want                 bool
	}{
		{name: "mac", pool: "2001:db8::/80 ndp6.iid=mac", endpoint: "mac=02:42:00:00:00:05", want: true},
		{name: "packed", pool: "2001:db8::/80 ndp6.iid=packed", endpoint: "mac=02:42:00:00:00:05", want: true},
		{name: "opaque", pool: "2001:db8::/80 ndp6.iid=opaque", endpoint: "mac=02:42:00:00:00:05", want: true},
		{name: "name", pool: "2001:db8::/80 ndp6.iid=name", endpoint: "mac=02:42:00:00:00:05 name=www", want: true},
		{name: "sequential", pool: "2001:db8::/80 ndp6.iid=sequential", endpoint: "mac=02:42:00:00:00:05"},
		{name: "counted up, as the pool is small", pool: "2001:db8::/124 ndp6.iid=packed", endpoint: "mac=02:42:00:00:00:05"},
		{name: "asked for", pool: "2001:db8::/80 ndp6.iid=mac", endpoint: "2001:db8::42:0:5 mac=02:42:00:00:00:05"},
		{name: "of a replayed container", pool: "2001:db8::/80 ndp6.iid=mac", endpoint: "2001:db8::42:0:5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.call("pool6 " + tt.pool)
			pool, _, _ := strings.Cut(tt.pool, " ")
			answer := l.call("endpoint " + pool + " " + tt.endpoint)
			lent, err := netip.ParsePrefix(answer)
			if err != nil {
				t.Fatalf("answer %q: %v", answer, err)
			}
			for _, when := range []string{"dockerd", "plugin"} {
				if got := l.Random(lent.Addr()); got != tt.want {
					t.Errorf("before a restart of %s: Random(%s) = %t, want %t", when, lent.Addr(), got, tt.want)
				}
				l.call(when)
			}
			if got := l.Random(lent.Addr()); got != tt.want {
				t.Errorf("after both: Random(%s) = %t, want %t", lent.Addr(), got, tt.want)
			}
			if l.Random(lent.Addr().Prev()) {
				t.Error("an address that nobody has is random")
			}
		})
	}
}
