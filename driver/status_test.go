package driver_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

func status(t *testing.T, r rig) string {
	t.Helper()
	s, err := r.Status(t.Context())
	must(t)(err)
	text, err := json.MarshalIndent(s, "", "  ")
	must(t)(err)
	return string(text)
}

func TestStatus(t *testing.T) {
	r := newRig(t)
	if diff := cmp.Diff(`{
  "networks": [],
  "endpoints": [],
  "uplinks": [],
  "problems": [],
  "warnings": [],
  "drift": []
}`, status(t, r)); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}

	web := createWeb()
	web.IPv4Data = []*network.IPAMData{pool("10.166.0.0/24", "10.166.0.1/24")}
	internal := createDB()
	internal.Options["com.docker.network.internal"] = true
	r.serve(t, web, internal)
	_, err := r.CreateEndpoint(t.Context(), createBox("a"))
	must(t)(err)
	want := `{
  "networks": [
    {
      "id": "db",
      "bridge": "nd-db",
      "pools": [
        {
          "prefix": "2001:db8:0:0:b::/80",
          "outside": []
        }
      ],
      "mode": "routed",
      "reason": "the network is internal",
      "uplink_option": "auto",
      "uplink": "",
      "internal": true,
      "inbound": "published",
      "proxy_entries": 0
    },
    {
      "id": "web",
      "bridge": "nd-web",
      "pools": [
        {
          "prefix": "2001:db8:0:0:a::/80",
          "gateway": "fe80::1",
          "outside": []
        },
        {
          "prefix": "10.166.0.0/24",
          "gateway": "10.166.0.1",
          "outside": []
        }
      ],
      "mode": "routed",
      "reason": "pool 2001:db8:0:0:a::/80 is global",
      "uplink_option": "auto",
      "uplink": "eth0",
      "internal": false,
      "inbound": "published",
      "proxy_entries": 0
    }
  ],
  "endpoints": [
    {
      "id": "a",
      "network": "web",
      "mac": "02:42:00:00:00:02",
      "addrs": [
        "2001:db8::a:242:0:2"
      ],
      "addresses": [
        {
          "addr": "2001:db8::a:242:0:2",
          "origin": "given",
          "deprecated": false
        }
      ],
      "joined": false,
      "state": "created",
      "inbound": "published",
      "ports": [],
      "withdrawn": []
    }
  ],
  "uplinks": [
    {
      "name": "eth0",
      "asked": "auto",
      "responder": "kernel",
      "reason": "no program"
    }
  ],
  "problems": [],
  "warnings": [],
  "drift": []
}`
	if diff := cmp.Diff(want, status(t, r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStatusOfDrift(t *testing.T) {
	r := newRig(t).serve(t)
	r.attach(t, createBox("a"))
	for k := range r.host.objects {
		if strings.Contains(k.Name, "2001:db8::a:242:0:2 eth0") {
			delete(r.host.objects, k)
		}
	}
	s, err := r.Status(t.Context())
	must(t)(err)
	if diff := cmp.Diff([]string{"add neigh proxy 2001:db8::a:242:0:2 dev eth0"}, s.Drift); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := s.Networks[0].ProxyEntries; n != 0 {
		t.Errorf("%d proxy entries are counted, and the kernel has lost the only one", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Status(ctx); err == nil {
		t.Error("Status after its context ended: no error")
	}
}

func TestStatusOfWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t)
		stop := r.run(t)
		defer stop()
		e := createBox("a")
		r.link.owners[netip.MustParseAddr("2001:db8::a:242:0:2")] = inet.MAC{0x02, 0x42, 0, 0, 0, 0x99}
		r.attach(t, e)
		time.Sleep(2 * time.Second)
		s, err := r.Status(t.Context())
		must(t)(err)
		if len(s.Endpoints) != 1 || len(s.Endpoints[0].Withdrawn) != 1 || s.Endpoints[0].State != driver.Withdrawn || len(s.Drift) > 0 {
			t.Errorf("status: %+v", s)
		}
		want := driver.Counts{Networks: map[plan.Mode]int{plan.Routed: 1}, Joined: 1, Withdrawn: 1}
		if diff := cmp.Diff(want, r.Counts(), cmpopts.IgnoreFields(driver.Counts{}, "Loop")); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// TestStatusOfJoining: a container that joins has an age, which a restart of
// the plugin does not change and Leave ends.
func TestStatusOfJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t)
		e := createBox("a")
		r.attach(t, e)
		joined := time.Now().UTC()
		time.Sleep(time.Hour)
		r = r.restart(t)
		s, err := r.Status(t.Context())
		must(t)(err)
		got := s.Endpoints[0]
		if got.State != driver.Running || !got.JoinedAt.Equal(joined) || s.Networks[0].ProxyEntries != 1 {
			t.Errorf("state %q since %v with %d proxy entries, want running since %v with 1", got.State, got.JoinedAt, s.Networks[0].ProxyEntries, joined)
		}
		must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: e.NetworkID, EndpointID: e.EndpointID}))
		s, err = r.Status(t.Context())
		must(t)(err)
		got = s.Endpoints[0]
		if got.State != driver.Created || !got.JoinedAt.IsZero() || s.Networks[0].ProxyEntries != 0 {
			t.Errorf("state %q since %v with %d proxy entries after Leave", got.State, got.JoinedAt, s.Networks[0].ProxyEntries)
		}
	})
}

// TestStatusOfMissingName: waiting for a name is no problem until it takes too long.
func TestStatusOfMissingName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.lender.fail(errBroken)
		r.attach(t, createBox("box"))
		for _, want := range []driver.State{driver.Starting, driver.Failing} {
			time.Sleep(time.Second)
			s, err := r.Status(t.Context())
			must(t)(err)
			if got := s.Endpoints[0].State; got != want {
				t.Errorf("state %q, want %q", got, want)
			}
			time.Sleep(time.Minute)
		}
	})
}
