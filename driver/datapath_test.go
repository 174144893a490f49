package driver_test

import (
	"errors"
	"strings"
	"testing"
)

// A kernel without the fast path refuses networks that ask for it; those that
// are there are forwarded for as others, with a warning.
func TestDatapath(t *testing.T) {
	t.Parallel()
	web := createWeb()
	web.Options = options(map[string]any{"ndp6.host_publish": "off", "ndp6.datapath": "bpf"})
	r := newRig(t)
	r.host.slow = errors.New("Linux 5.10 is too old")
	err := r.CreateNetwork(t.Context(), web)
	if want := `option ndp6.datapath="bpf": Linux 5.10 is too old: give ndp6 what it lacks, or make the network without the option`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	r.host.slow = nil
	r.serve(t, web)
	datapath := func(want string, warnings int) {
		t.Helper()
		s, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Networks[0].Datapath; got != want || len(s.Warnings) != warnings {
			t.Errorf("datapath %q with warnings %v; want %q and %d", got, s.Warnings, want, warnings)
		}
	}
	datapath("bpf", 0)
	if !strings.Contains(r.host.holds(), "fastpath dev eth0 pool 2001:db8:0:0:a::/80") {
		t.Errorf("host holds %s", r.host.holds())
	}
	r.host.slow = errors.New("Linux 5.10 is too old")
	datapath("", 1)
}
