package driver_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
)

// fakeLender lends one address to one endpoint at a time.
type fakeLender struct {
	mu     sync.Mutex
	source string
	// err is why there is no address now, and refuses why there never is one.
	err, refuses error
	// lent is who has the address.
	lent  string
	asked int
}

const stableAddr = "2001:db8::a:5:5:5"

func (l *fakeLender) Source(netip.Prefix) string { return l.source }

// Random takes addresses as random whose last bytes have a MAC in them.
func (*fakeLender) Random(addr netip.Addr) bool {
	b := addr.As16()
	return b[10] != 0 || b[11] != 0
}

func (l *fakeLender) CheckStable(netip.Prefix) error { return l.refuses }

func (l *fakeLender) Stable(_ context.Context, r driver.StableRequest) (netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.err != nil {
		return netip.Addr{}, l.err
	}
	l.lent = r.Endpoint
	return netip.MustParseAddr(stableAddr), nil
}

func (l *fakeLender) Return(endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lent == endpoint {
		l.lent = ""
	}
	return nil
}

func (l *fakeLender) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeLender) questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (l *fakeLender) holder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent
}

func TestInsideRefused(t *testing.T) {
	tests := []struct {
		name    string
		options map[string]any
		change  func(r rig)
		err     string
	}{
		{name: "stable", options: byName},
		{name: "follow", options: follow},
		{name: "stable of what", options: map[string]any{"ndp6.stable": "mac"}, err: `option ndp6.stable="mac" is not right: use name: an address made of the container's name`},
		{name: "renumber how", options: map[string]any{"ndp6.renumber": "yes"}, err: `option ndp6.renumber="yes" is not right: use warn or follow`},
		{
			name: "no names", options: byName, change: func(r rig) { r.lender.refuses = errors.New("--docker-socket is none") },
			err: "option ndp6.stable=name: --docker-socket is none",
		},
		{
			name: "managed plugin", options: byName, change: func(r rig) { r.host.unenterable = errBroken },
			err: "option ndp6.stable=name sets addresses inside running containers, and ndp6 may not enter their namespaces: leave it out, or run ndp6 as a service with CAP_SYS_ADMIN instead of the managed plugin: broken",
		},
		{
			name: "fixed pool", options: follow, change: func(r rig) { r.lender.source = "given" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 was given with --subnet: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
		{
			name: "pool of another driver", options: follow, change: func(r rig) { r.lender.source = "" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 is that of another IPAM driver: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
		{
			name: "pool of a block", options: follow, change: func(r rig) { r.lender.source = "block" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 was not taken from a prefix of the uplink: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.change != nil {
				tt.change(r)
			}
			got := ""
			if err := r.CreateNetwork(t.Context(), with(tt.options)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.err, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if left := r.networks.ids(); tt.err != "" && len(left) > 0 {
				t.Errorf("records are left: %v", left)
			}
		})
	}
}
