package driver_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/netutil/hostport"
)

// fakePorts tells what was asked of it, and has port 22 taken.
type fakePorts struct {
	mu    sync.Mutex
	calls []string
	host  *fakeHost
}

func (p *fakePorts) call(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

// told returns the calls since the last time.
func (p *fakePorts) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}

func (p *fakePorts) Publish(id string, _ []netip.Addr, mappings []publish.Mapping, o publish.Options) ([]firewall.Published, error) {
	var ports []firewall.Published
	for _, m := range mappings {
		if m.HostPort == 22 {
			return nil, fmt.Errorf("port is already allocated: %w", hostport.ErrInUse)
		}
		ports = append(ports, firewall.Published{Proto: m.Proto, Port: m.Port, HostAddr: netip.IPv6Unspecified(), HostPort: m.HostPort, Direct: true})
	}
	p.call("publish %s %v %+v", id, mappings, o)
	return ports, nil
}

func (p *fakePorts) Serve(id string) error {
	p.call("serve %s, rules %t", id, strings.Contains(p.host.holds(plan.KindRules), "publish"))
	return nil
}

func (p *fakePorts) Restore(id string, _ []netip.Addr, ports []firewall.Published) error {
	p.call("restore %s %v", id, ports)
	return errors.New("one is taken")
}

func (p *fakePorts) Unpublish(id string) error {
	p.call("unpublish %s, rules %t", id, strings.Contains(p.host.holds(plan.KindRules), "publish"))
	return nil
}

func portMap(ports ...int) map[string]any {
	var list []any
	for _, p := range ports {
		list = append(list, map[string]any{"Proto": 6.0, "Port": 80.0, "HostPort": float64(p), "HostPortEnd": float64(p)})
	}
	return map[string]any{publish.PortMap: list}
}

func program(options map[string]any) *network.ProgramExternalConnectivityRequest {
	return &network.ProgramExternalConnectivityRequest{NetworkID: "web", EndpointID: "box", Options: options}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	web := createWeb()
	web.Options = options(map[string]any{"ndp6.host_publish": "off"})
	r := newRig(t).serve(t, web)
	r.attach(t, createBox("box"))
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, r.ports.told()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("Join")

	must(t)(r.ProgramExternalConnectivity(t.Context(), program(portMap())))
	check("no ports")
	options := portMap(8080)
	options["com.docker.network.driver.private.no_proxy_6to4"] = true
	must(t)(r.ProgramExternalConnectivity(t.Context(), program(options)))
	check("one port", "publish box [8080:80/tcp] {NoHostPorts6:true NAT6:false HostBinding4:invalid IP IPv4Only:true IPv4MayBeTaken:false}", "serve box, rules true")
	if got := r.published(t); len(got) != 1 || got[0].HostPort != 8080 {
		t.Errorf("recorded %v", got)
	}

	r = r.restart(t)
	check("restart", "restore box [[::]:8080->80/tcp direct]", "serve box, rules true")

	revoke := &network.RevokeExternalConnectivityRequest{NetworkID: "web", EndpointID: "box"}
	must(t)(r.RevokeExternalConnectivity(t.Context(), revoke))
	check("Revoke", "unpublish box, rules false")
	must(t)(r.RevokeExternalConnectivity(t.Context(), revoke))
	check("Revoke again")
	if got := r.published(t); got != nil {
		t.Errorf("recorded after Revoke: %v", got)
	}
	r = r.restart(t)
	check("restart without ports")
}

// Docker 29 does not revoke what it programmed before it restarted.
func TestLeaveUnpublishes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r rig) error{
		"Leave": func(r rig) error {
			return r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"})
		},
		"DeleteEndpoint": func(r rig) error {
			return r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"})
		},
		"DeleteNetwork": func(r rig) error {
			return r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).serve(t)
			r.attach(t, createBox("box"))
			must(t)(r.ProgramExternalConnectivity(t.Context(), program(portMap(8080))))
			r.ports.told()
			must(t)(end(r))
			if got := r.ports.told(); !slices.Contains(got, "unpublish box, rules false") {
				t.Errorf("ports were told %v", got)
			}
			if e, ok := r.endpoints.all(t)["box"]; ok && e.Published != nil {
				t.Errorf("recorded: %v", e.Published)
			}
		})
	}
}

// The log says where others find the ports.
func TestPublishedLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	web := moded("fd00:0:0:1:a::/80", "ndp6.mode=nptv6")
	r := newRig(t).restart(t, func(c *driver.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }).serve(t, web)
	box := createBox("box")
	box.Interface.AddressIPv6 = "fd00:0:0:1:a:242:0:2/80"
	r.attach(t, box)
	must(t)(r.ProgramExternalConnectivity(t.Context(), program(portMap(8080))))
	for _, want := range []string{`port=[::]:8080->80/tcp`, `port=[2001:db8::a:242:0:2]:80/tcp`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, log.String())
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	stale := 0
	r := newRig(t).restart(t, func(c *driver.Config) { c.Stale = func() { stale++ } }).serve(t)
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"unknown network", func() error {
			return r.ProgramExternalConnectivity(t.Context(), &network.ProgramExternalConnectivityRequest{NetworkID: "mail", EndpointID: "box"})
		}, `network "mail" is not known to ndp6: remove it with docker network rm and create it again`},
		{
			"unknown endpoint", func() error { return r.ProgramExternalConnectivity(t.Context(), program(portMap(80))) },
			`endpoint "box" has not joined a network of ndp6: start the container again`,
		},
	} {
		if err := tt.call(); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
	r.attach(t, createBox("box"))
	err := r.ProgramExternalConnectivity(t.Context(), program(portMap(8080, 22)))
	if err == nil || r.published(t) != nil || stale != 1 {
		t.Errorf("a port is taken: error %v, recorded %v, asked %d times for a sweep", err, r.published(t), stale)
	}
	// What cannot be recorded, or opened, is given back.
	r.endpoints.breaks(errBroken)
	err = r.ProgramExternalConnectivity(t.Context(), program(portMap(8080)))
	r.endpoints.breaks(nil)
	if got := r.ports.told(); !errors.Is(err, errBroken) || !slices.Contains(got, "unpublish box, rules false") {
		t.Errorf("no record: error %v, ports were told %v", err, got)
	}
	r.host.breaks("publish")
	err = r.ProgramExternalConnectivity(t.Context(), program(portMap(8080)))
	if got := r.ports.told(); !errors.Is(err, errBroken) || !slices.Contains(got, "unpublish box, rules false") {
		t.Errorf("no rules: error %v, ports were told %v", err, got)
	}
}

// Docker before 28 programs external connectivity only where there is an IPv4 gateway.
func TestJoinPublishes(t *testing.T) {
	t.Parallel()
	old := func(r *network.CreateNetworkRequest) { r.Options = map[string]any{} }
	tests := []struct {
		name   string
		change func(*network.CreateNetworkRequest)
		want   bool
	}{
		{"Docker 28", func(*network.CreateNetworkRequest) {}, false},
		{"Docker 26", old, true},
		{"Docker 26, dual stack", func(r *network.CreateNetworkRequest) {
			old(r)
			r.IPv4Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}
		}, false},
		{"Docker 26, internal", func(r *network.CreateNetworkRequest) {
			old(r)
			r.Options["com.docker.network.internal"] = true
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := createWeb()
			tt.change(web)
			r := newRig(t).serve(t, web)
			box := createBox("box")
			if len(web.IPv4Data) > 0 {
				box.Interface.Address = "10.6.0.2/24"
			}
			_, err := r.CreateEndpoint(t.Context(), box)
			must(t)(err)
			join := joinBox("box")
			join.Options = portMap(8080)
			_, err = r.Join(t.Context(), join)
			must(t)(err)
			if got := len(r.ports.told()) > 0; got != tt.want {
				t.Errorf("published: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestJoinWithTakenPort(t *testing.T) {
	t.Parallel()
	web := createWeb()
	web.Options = map[string]any{}
	r := newRig(t).serve(t, web)
	_, err := r.CreateEndpoint(t.Context(), createBox("box"))
	must(t)(err)
	join := joinBox("box")
	join.Options = portMap(22)
	before := r.host.holds(withoutSysctls...)
	if _, err = r.Join(t.Context(), join); err == nil || !strings.Contains(err.Error(), "already allocated") {
		t.Errorf("error %v", err)
	}
	if got := r.host.holds(withoutSysctls...); strings.Contains(got, "ndh-") {
		t.Errorf("left of the endpoint:\n%s\nbefore:\n%s", got, before)
	}
}
