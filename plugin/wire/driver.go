package wire

import (
	"context"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// Network answers the calls of Docker's network driver API. Requests are never
// nil; a nil response goes out as an empty object. The context ends when the
// call's deadline does, when dockerd hangs up, or when the server stops.
type Network interface {
	GetCapabilities(context.Context) (*network.CapabilitiesResponse, error)
	// GwAllocCheck says for which families dockerd need not ask IPAM for a gateway.
	GwAllocCheck(ctx context.Context, options map[string]any) (skipIPv4, skipIPv6 bool, err error)
	AllocateNetwork(context.Context, *network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error)
	FreeNetwork(context.Context, *network.FreeNetworkRequest) error
	CreateNetwork(context.Context, *network.CreateNetworkRequest) error
	DeleteNetwork(context.Context, *network.DeleteNetworkRequest) error
	CreateEndpoint(context.Context, *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error)
	DeleteEndpoint(context.Context, *network.DeleteEndpointRequest) error
	// EndpointInfo is NetworkDriver.EndpointOperInfo on the wire. Its error is
	// logged and never reaches dockerd.
	EndpointInfo(context.Context, *network.InfoRequest) (*network.InfoResponse, error)
	Join(context.Context, *network.JoinRequest) (*network.JoinResponse, error)
	Leave(context.Context, *network.LeaveRequest) error
	DiscoverNew(context.Context, *network.DiscoveryNotification) error
	DiscoverDelete(context.Context, *network.DiscoveryNotification) error
	ProgramExternalConnectivity(context.Context, *network.ProgramExternalConnectivityRequest) error
	RevokeExternalConnectivity(context.Context, *network.RevokeExternalConnectivityRequest) error
}

// IPAM answers the calls of Docker's IPAM driver API, under the same terms as
// [Network].
type IPAM interface {
	GetCapabilities(context.Context) (*ipam.CapabilitiesResponse, error)
	GetDefaultAddressSpaces(context.Context) (*ipam.AddressSpacesResponse, error)
	RequestPool(context.Context, *ipam.RequestPoolRequest) (*ipam.RequestPoolResponse, error)
	ReleasePool(context.Context, *ipam.ReleasePoolRequest) error
	RequestAddress(context.Context, *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error)
	ReleaseAddress(context.Context, *ipam.ReleaseAddressRequest) error
}
