package wire_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/plugin/wire"
)

func TestCounts(t *testing.T) {
	var s *wire.Server
	var during wire.Counts
	d := &drivers{before: func(_ context.Context, req any) error {
		switch req.(type) {
		case *network.LeaveRequest:
			during = s.Counts()
			return errors.New("no endpoint")
		case *network.JoinRequest:
			panic("nil map")
		}
		return nil
	}}
	s = wire.New(wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet})
	for _, method := range []string{
		"NetworkDriver.Leave", "NetworkDriver.Join", "NetworkDriver.CreateNetwork", "NetworkDriver.CreateNetwork",
		"NetworkDriver.Teleport", "a\"b",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.URL.Path = "/" + method
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	got := s.Counts()
	if during.InFlight != 1 || got.InFlight != 0 || got.Panics != 1 {
		t.Errorf("in flight %d, then %d; %d panics", during.InFlight, got.InFlight, got.Panics)
	}
	want := map[string][2]uint64{
		"NetworkDriver.Leave": {0, 1}, "NetworkDriver.Join": {0, 1}, "NetworkDriver.CreateNetwork": {2, 0}, "other": {0, 2},
	}
	for _, m := range got.Methods {
		w := want[m.Method]
		if m.OK != w[0] || m.Error != w[1] || m.Took.Count() != m.OK+m.Error {
			t.Errorf("%s: %d ok, %d errors, %d durations, want %v", m.Method, m.OK, m.Error, m.Took.Count(), w)
		}
		delete(want, m.Method)
	}
	if len(want) > 0 || len(got.Methods) < 20 {
		t.Errorf("%d methods, without %v", len(got.Methods), want)
	}
}
