package driver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nft"
)

// Status is what the driver holds and how the host compares. Its form in JSON
// is described in docs/status.md and only grows. Lists are never null.
type Status struct {
	Networks  []NetworkStatus  `json:"networks"`
	Endpoints []EndpointStatus `json:"endpoints"`
	// Uplinks are those on which neighbors solicit addresses of networks.
	Uplinks []UplinkStatus `json:"uplinks"`
	// Problems are what could not be done and is retried.
	Problems []ProblemStatus `json:"problems"`
	// Warnings are what an operator should see to.
	Warnings []Warning `json:"warnings"`
	// Drift are the operations that would make the kernel match the plan.
	Drift []string `json:"drift"`
}

// NetworkStatus is a network with what its records stand for now.
type NetworkStatus struct {
	ID string `json:"id"`
	// Name is what Docker calls it, where it was asked. The driver does not know.
	Name   string       `json:"name,omitempty"`
	Bridge string       `json:"bridge"`
	Pools  []PoolStatus `json:"pools"`
	// Mode is routed, nat, nptv6 or isolated, and Reason says why.
	Mode   plan.Mode `json:"mode"`
	Reason string    `json:"reason"`
	// UplinkOption is what the network asked for: a link's name, or auto.
	UplinkOption string `json:"uplink_option"`
	// Uplink is the link that stands for now, empty where there is none.
	Uplink   string `json:"uplink"`
	Internal bool   `json:"internal"`
	// Shared is set where other nodes of a swarm have addresses of the pools, too.
	Shared bool `json:"shared,omitempty"`
	// NDP is on or off where the network has its own ndp6.ndp.
	NDP string `json:"ndp,omitempty"`
	// Inbound is published or open; an endpoint may differ.
	Inbound string `json:"inbound"`
	// Datapath is bpf where the network asks for that and the kernel lets it,
	// empty where the kernel forwards.
	Datapath string `json:"datapath,omitempty"`
	// Announce is prefix or endpoint where the network is announced, and
	// Announced what of it the kernel holds for a routing daemon: its pools, or
	// the addresses of its containers.
	Announce  string         `json:"announce,omitempty"`
	Announced []netip.Prefix `json:"announced,omitempty"`
	// ProxyEntries counts those that the kernel holds for the network's endpoints.
	ProxyEntries int `json:"proxy_entries"`
}

// UplinkStatus is an uplink on which containers' addresses are answered for.
type UplinkStatus struct {
	Name string `json:"name"`
	// Asked is the setting, Responder what answers, bpf or kernel, and Reason
	// why it is that one.
	Asked     plan.Answering `json:"asked"`
	Responder plan.Answering `json:"responder"`
	Reason    string         `json:"reason"`
}

// PoolStatus is a pool and the gateway that containers have in it, the zero
// Addr on an internal network.
type PoolStatus struct {
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	// Outside are the prefixes that the pool has outside where they differ,
	// the current one first.
	Outside []netip.Prefix `json:"outside"`
}

// EndpointStatus is a container's attachment to a network.
type EndpointStatus struct {
	ID string `json:"id"`
	// Name is that of the container, where Docker was asked. The driver does
	// not know.
	Name    string       `json:"name,omitempty"`
	Network string       `json:"network"`
	MAC     inet.MAC     `json:"mac"`
	Addrs   []netip.Addr `json:"addrs"`
	// Addresses are all that the container has: Addrs, and those that Docker
	// does not know of.
	Addresses []AddressStatus `json:"addresses"`
	Joined    bool            `json:"joined"`
	// JoinedAt is since when; zero for those that joined under an older ndp6.
	JoinedAt time.Time `json:"joined_at,omitzero"`
	State    State     `json:"state"`
	Inbound  string    `json:"inbound"`
	// Ports are those that are published, in the order of Docker's request.
	Ports []PortStatus `json:"ports"`
	// Withdrawn are those of Addresses that another host on the uplink holds.
	Withdrawn []netip.Addr `json:"withdrawn"`
}

// AddressStatus is an address of a container and where it has it from.
type AddressStatus struct {
	Addr   netip.Addr  `json:"addr"`
	Origin plan.Origin `json:"origin"` // given, stable, twin or outside
	// Deprecated addresses are not the source of new connections.
	Deprecated bool `json:"deprecated"`
}

// PortStatus is a published port of a container.
type PortStatus struct {
	Proto string `json:"proto"` // tcp, udp or sctp
	Port  uint16 `json:"port"`  // in the container
	// Direct is set where the port is open at the container's own address.
	Direct bool `json:"direct"`
	// HostAddr and HostPort lead to the container too; HostPort is 0 where none does.
	HostAddr netip.Addr `json:"host_addr,omitzero"`
	HostPort uint16     `json:"host_port"`
}

// ProblemStatus is what could not be done for one owner.
type ProblemStatus struct {
	// Owner is the id of a network or an endpoint, empty for what all share.
	Owner string    `json:"owner"`
	Error string    `json:"error"`
	Since time.Time `json:"since"`
	// Attempts counts those since then, Retry is when the next one is due.
	Attempts int       `json:"attempts"`
	Retry    time.Time `json:"retry"`
	// Request is the number, in the log, of Docker's call that met the problem
	// first; 0 if none did.
	Request uint64 `json:"request,omitzero"`
}

// Status observes the host and compares. It changes nothing.
func (d *Driver) Status(ctx context.Context) (Status, error) {
	ops, err := d.loop.Drift(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("observe the host: %w", err)
	}
	s := Status{
		Networks: []NetworkStatus{}, Endpoints: []EndpointStatus{}, Uplinks: []UplinkStatus{},
		Problems: []ProblemStatus{}, Drift: []string{},
	}
	for _, op := range ops {
		s.Drift = append(s.Drift, op.String())
	}
	for _, p := range d.loop.Problems() {
		s.Problems = append(s.Problems, ProblemStatus{
			Owner: p.Owner, Error: p.Err.Error(), Since: p.Since.UTC(), Attempts: p.Attempts, Retry: p.Retry.UTC(), Request: p.Request,
		})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Problems, s.Warnings = append(s.Problems, d.missing()...), d.warnings()
	entries, announced, failing := d.proxyEntries(ops), d.announced(ops), owners(s.Problems)
	byNetworkID := func(a, b plan.Network) int { return cmp.Compare(a.ID, b.ID) }
	for _, n := range slices.SortedFunc(maps.Values(d.networks), byNetworkID) {
		status := d.networkStatus(n)
		status.ProxyEntries = entries[n.ID]
		status.Announced = announced[n.ID]
		s.Networks = append(s.Networks, status)
	}
	byID := func(a, b plan.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.ID, b.ID))
	}
	for _, e := range slices.SortedFunc(maps.Values(d.endpoints), byID) {
		s.Endpoints = append(s.Endpoints, EndpointStatus{
			ID: e.ID, Network: e.Network, MAC: e.MAC,
			Joined: e.Joined, JoinedAt: e.JoinedAt, State: d.state(e, failing),
			Inbound: inbound(e.Open), Ports: portStatus(e),
			Addrs:     append([]netip.Addr{}, e.Addrs...),
			Addresses: d.addressStatus(e),
			Withdrawn: append([]netip.Addr{}, e.Withdrawn...),
		})
	}
	s.Uplinks = append(s.Uplinks, d.uplinkStatus()...)
	return s, nil
}

// uplinkStatus returns what answers on the uplinks where somebody does.
// Whoever calls holds mu.
func (d *Driver) uplinkStatus() []UplinkStatus {
	used := make(map[string]bool)
	for _, n := range d.networks {
		if plan.Answered(n, d.uplinks) {
			used[d.uplinks.For[n.Uplink].Name] = true
		}
	}
	var all []UplinkStatus
	for _, a := range d.config.Host.Answers() {
		if used[a.Uplink] {
			all = append(all, UplinkStatus{Name: a.Uplink, Asked: a.Asked, Responder: a.By, Reason: a.Reason})
		}
	}
	return all
}

// networkStatus is the Status of one network. Whoever calls holds mu.
func (d *Driver) networkStatus(n plan.Network) NetworkStatus {
	s := NetworkStatus{
		ID: n.ID, Bridge: n.Bridge, Pools: []PoolStatus{},
		Mode: cmp.Or(n.Mode, plan.Routed), Reason: n.Reason,
		UplinkOption: n.Uplink, Internal: n.Internal, Shared: n.Shared, NDP: n.NDP, Announce: n.Announce, Inbound: inbound(n.Open),
		Datapath: d.datapath(n),
	}
	if !n.Internal {
		s.Uplink = d.uplinks.For[n.Uplink].Name
	}
	for _, p := range n.Pools {
		pool := PoolStatus{Prefix: p.Prefix, Outside: append([]netip.Prefix{}, n.Outsides(p.Prefix, d.uplinks.For[n.Uplink])...)}
		if !n.Internal {
			pool.Gateway = gatewayOf(n, p.Prefix.Addr())
		}
		s.Pools = append(s.Pools, pool)
	}
	return s
}

// missing are the endpoints whose addresses should be complete by now. Whoever
// calls holds mu.
func (d *Driver) missing() []ProblemStatus {
	var ps []ProblemStatus
	for _, id := range slices.Sorted(maps.Keys(d.awaited)) {
		if a := d.awaited[id]; a.err != nil && time.Since(a.since) > patience {
			ps = append(ps, ProblemStatus{
				Owner: id, Error: a.err.Error(), Since: a.since.UTC(), Attempts: a.attempts, Retry: a.retry.UTC(),
			})
		}
	}
	return ps
}

// addressStatus returns all addresses of an endpoint, and those that it has
// outside. Whoever calls holds mu.
func (d *Driver) addressStatus(e plan.Endpoint) []AddressStatus {
	n, u := d.networks[e.Network], d.uplinks.For[d.networks[e.Network].Uplink]
	list := []AddressStatus{}
	all := plan.Addresses(n, e, d.uplinks)
	for _, a := range all {
		list = append(list, AddressStatus{a.Addr(), a.Origin, a.Deprecated})
	}
	if n.Mode != plan.NPTv6 {
		return list
	}
	for _, a := range all {
		for _, outside := range n.Exposed(a.Addr(), u) {
			old := slices.ContainsFunc(u.Deprecated, func(p netip.Prefix) bool { return p.Contains(outside) })
			list = append(list, AddressStatus{outside, plan.Outside, old})
		}
	}
	return list
}

func inbound(open bool) string {
	if open {
		return inboundOpen
	}
	return inboundPublished
}

func portStatus(e plan.Endpoint) []PortStatus {
	ports := []PortStatus{}
	for _, p := range e.Published {
		s := PortStatus{Proto: nft.Proto(p.Proto).String(), Port: p.Port, Direct: p.Direct}
		if p.HostPort != 0 {
			s.HostAddr, s.HostPort = p.HostAddr, p.HostPort
		}
		ports = append(ports, s)
	}
	return ports
}
