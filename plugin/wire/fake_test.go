package wire_test

import (
	"context"
	"sync"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// drivers records the arguments of every call and answers with what a test
// asked for. Its zero value answers everything with success.
type drivers struct {
	// before runs in each call; its error is the call's.
	before func(ctx context.Context, req any) error

	mu   sync.Mutex
	seen []any
}

// note is the whole of a call that has nothing to answer.
func (d *drivers) note(ctx context.Context, req any) error {
	d.mu.Lock()
	d.seen = append(d.seen, req)
	d.mu.Unlock()
	if d.before != nil {
		return d.before(ctx, req)
	}
	return nil
}

func (d *drivers) last() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[len(d.seen)-1]
}

type fakeNetwork struct{ *drivers }

func (f fakeNetwork) GetCapabilities(ctx context.Context) (*network.CapabilitiesResponse, error) {
	return &network.CapabilitiesResponse{Scope: network.LocalScope, ConnectivityScope: network.GlobalScope}, f.note(ctx, nil)
}

func (f fakeNetwork) GwAllocCheck(ctx context.Context, options map[string]any) (skipIPv4, skipIPv6 bool, err error) {
	return false, true, f.note(ctx, map[string]any{"Options": options})
}

func (f fakeNetwork) AllocateNetwork(ctx context.Context, r *network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error) {
	return nil, f.note(ctx, r)
}

func (f fakeNetwork) FreeNetwork(ctx context.Context, r *network.FreeNetworkRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) CreateNetwork(ctx context.Context, r *network.CreateNetworkRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) DeleteNetwork(ctx context.Context, r *network.DeleteNetworkRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) CreateEndpoint(ctx context.Context, r *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error) {
	return nil, f.note(ctx, r)
}

func (f fakeNetwork) DeleteEndpoint(ctx context.Context, r *network.DeleteEndpointRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) EndpointInfo(ctx context.Context, r *network.InfoRequest) (*network.InfoResponse, error) {
	return nil, f.note(ctx, r)
}

func (f fakeNetwork) Join(ctx context.Context, r *network.JoinRequest) (*network.JoinResponse, error) {
	return &network.JoinResponse{GatewayIPv6: "fe80::1", DisableGatewayService: true}, f.note(ctx, r)
}

func (f fakeNetwork) Leave(ctx context.Context, r *network.LeaveRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) DiscoverNew(ctx context.Context, r *network.DiscoveryNotification) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) DiscoverDelete(ctx context.Context, r *network.DiscoveryNotification) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) ProgramExternalConnectivity(ctx context.Context, r *network.ProgramExternalConnectivityRequest) error {
	return f.note(ctx, r)
}

func (f fakeNetwork) RevokeExternalConnectivity(ctx context.Context, r *network.RevokeExternalConnectivityRequest) error {
	return f.note(ctx, r)
}

type fakeIPAM struct{ *drivers }

func (f fakeIPAM) GetCapabilities(ctx context.Context) (*ipam.CapabilitiesResponse, error) {
	return &ipam.CapabilitiesResponse{RequiresMACAddress: true}, f.note(ctx, nil)
}

func (f fakeIPAM) GetDefaultAddressSpaces(ctx context.Context) (*ipam.AddressSpacesResponse, error) {
	return &ipam.AddressSpacesResponse{LocalDefaultAddressSpace: "ndp6", GlobalDefaultAddressSpace: "ndp6"}, f.note(ctx, nil)
}

func (f fakeIPAM) RequestPool(ctx context.Context, r *ipam.RequestPoolRequest) (*ipam.RequestPoolResponse, error) {
	return &ipam.RequestPoolResponse{PoolID: "p", Pool: "2001:db8::/80"}, f.note(ctx, r)
}

func (f fakeIPAM) ReleasePool(ctx context.Context, r *ipam.ReleasePoolRequest) error {
	return f.note(ctx, r)
}

func (f fakeIPAM) RequestAddress(ctx context.Context, r *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error) {
	return &ipam.RequestAddressResponse{Address: "2001:db8::2/80"}, f.note(ctx, r)
}

func (f fakeIPAM) ReleaseAddress(ctx context.Context, r *ipam.ReleaseAddressRequest) error {
	return f.note(ctx, r)
}
