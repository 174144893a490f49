package wire

import (
	"context"
	"log/slog"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// A method answers one call whose body is given. Its result is encoded as JSON.
type method func(ctx context.Context, body []byte) (any, error)

// routes is the whole protocol, by the method's name on the wire.
func routes(n Network, i IPAM, log *slog.Logger) map[string]method {
	return map[string]method{
		"Plugin.Activate": ask(activate),

		"NetworkDriver.GetCapabilities":             ask(networkCapabilities(n)),
		"NetworkDriver.GwAllocCheck":                handle(gwAllocCheck(n)),
		"NetworkDriver.AllocateNetwork":             handle(n.AllocateNetwork),
		"NetworkDriver.FreeNetwork":                 tell(n.FreeNetwork),
		"NetworkDriver.CreateNetwork":               tell(n.CreateNetwork),
		"NetworkDriver.DeleteNetwork":               tell(n.DeleteNetwork),
		"NetworkDriver.CreateEndpoint":              handle(n.CreateEndpoint),
		"NetworkDriver.DeleteEndpoint":              tell(n.DeleteEndpoint),
		"NetworkDriver.EndpointOperInfo":            handle(endpointInfo(n, log)),
		"NetworkDriver.Join":                        handle(n.Join),
		"NetworkDriver.Leave":                       tell(n.Leave),
		"NetworkDriver.DiscoverNew":                 tell(n.DiscoverNew),
		"NetworkDriver.DiscoverDelete":              tell(n.DiscoverDelete),
		"NetworkDriver.ProgramExternalConnectivity": tell(n.ProgramExternalConnectivity),
		"NetworkDriver.RevokeExternalConnectivity":  tell(n.RevokeExternalConnectivity),

		"IpamDriver.GetCapabilities":         ask(ipamCapabilities(i)),
		"IpamDriver.GetDefaultAddressSpaces": ask(i.GetDefaultAddressSpaces),
		"IpamDriver.RequestPool":             handle(i.RequestPool),
		"IpamDriver.ReleasePool":             tell(i.ReleasePool),
		"IpamDriver.RequestAddress":          handle(i.RequestAddress),
		"IpamDriver.ReleaseAddress":          tell(i.ReleaseAddress),
	}
}

// handle makes a method of a call that takes arguments and gives an answer.
func handle[Req, Resp any](f func(context.Context, *Req) (*Resp, error)) method {
	return func(ctx context.Context, body []byte) (any, error) {
		req := new(Req)
		if err := decode(body, req); err != nil {
			return nil, err
		}
		return answer(f(ctx, req))
	}
}

// tell makes a method of a call that takes arguments and has nothing to answer.
func tell[Req any](f func(context.Context, *Req) error) method {
	return handle(func(ctx context.Context, req *Req) (*struct{}, error) {
		return nil, f(ctx, req)
	})
}

// ask makes a method of a call that takes no arguments. Docker sends these
// without a body; whatever the body is, nobody looks.
func ask[Resp any](f func(context.Context) (*Resp, error)) method {
	return func(ctx context.Context, _ []byte) (any, error) {
		return answer(f(ctx))
	}
}

// answer keeps a nil response from going out as null, which Docker takes for
// an answer whose fields are all empty.
func answer[Resp any](resp *Resp, err error) (any, error) {
	if resp == nil {
		return struct{}{}, err
	}
	return resp, err
}

type manifest struct {
	Implements []string
}

func activate(context.Context) (*manifest, error) {
	return &manifest{Implements: []string{"NetworkDriver", "IpamDriver"}}, nil
}

// capabilities adds GwAllocChecker, without which Docker 28 and newer never
// call GwAllocCheck; older versions overlook it.
type capabilities struct {
	*network.CapabilitiesResponse
	GwAllocChecker bool
}

func networkCapabilities(n Network) func(context.Context) (*capabilities, error) {
	return func(ctx context.Context) (*capabilities, error) {
		c, err := n.GetCapabilities(ctx)
		return &capabilities{CapabilitiesResponse: c, GwAllocChecker: true}, err
	}
}

// replayCapabilities adds RequiresRequestReplay, without which Docker requests
// no pool or address again when it starts.
type replayCapabilities struct {
	*ipam.CapabilitiesResponse
	RequiresRequestReplay bool
}

func ipamCapabilities(i IPAM) func(context.Context) (*replayCapabilities, error) {
	return func(ctx context.Context) (*replayCapabilities, error) {
		c, err := i.GetCapabilities(ctx)
		return &replayCapabilities{CapabilitiesResponse: c, RequiresRequestReplay: true}, err
	}
}

type gwAllocCheckRequest struct {
	Options map[string]any
}

type gwAllocCheckResponse struct {
	SkipIPv4, SkipIPv6 bool
}

func gwAllocCheck(n Network) func(context.Context, *gwAllocCheckRequest) (*gwAllocCheckResponse, error) {
	return func(ctx context.Context, req *gwAllocCheckRequest) (*gwAllocCheckResponse, error) {
		skip4, skip6, err := n.GwAllocCheck(ctx, req.Options)
		return &gwAllocCheckResponse{SkipIPv4: skip4, SkipIPv6: skip6}, err
	}
}

// endpointInfo answers without error whatever the driver says: up to Docker 27
// an error here undoes the container's start, for a map that nobody is shown.
func endpointInfo(n Network, log *slog.Logger) func(context.Context, *network.InfoRequest) (*network.InfoResponse, error) {
	return func(ctx context.Context, req *network.InfoRequest) (*network.InfoResponse, error) {
		info, err := n.EndpointInfo(ctx, req)
		if err != nil {
			log.Warn("no endpoint information", "network", short(req.NetworkID), "endpoint", short(req.EndpointID), "error", err)
		}
		if err != nil || info == nil || info.Value == nil {
			info = &network.InfoResponse{Value: map[string]string{}}
		}
		return info, nil
	}
}
