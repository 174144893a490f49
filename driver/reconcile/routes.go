package reconcile

import (
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// observeRoutes adds the routes that are ours. Whatever else has plan.Protocol
// is ours as well and should not be there; another protocol that an operator
// chose may be a daemon's too.
func (h *Host) observeRoutes(s uplink.Snapshot, bridges map[string]bool, have plan.Host) {
	for _, r := range s.Routes {
		route, announced := plan.Route{Dst: r.Dst, Link: r.Link}, plan.Announced{Dst: r.Dst, Link: r.Link}
		peer := plan.PeerRoute{Dst: r.Dst, Via: r.Via, Link: r.Link}
		switch {
		case bridges[r.Link] && same(r, connected(route)):
			have.Add("", route)
		case (r.Link == "" || bridges[r.Link]) && same(r, h.announced(announced)):
			have.Add("", announced)
		case same(r, peerRoute(peer)):
			have.Add("", peer)
		case r.Protocol == plan.Protocol:
			have.Add("", plan.Stray{Dst: r.Dst, Link: r.Link, Protocol: r.Protocol, Metric: r.Metric, Type: r.Type})
		}
	}
}

// same reports whether a route that was observed is as it was asked for.
func same(have, want kernel.Route) bool {
	return have.Protocol == want.Protocol && have.Metric == want.Metric && have.Type == want.Type && have.Via == want.Via
}

// connected is the route of the kernel for r.
func connected(r plan.Route) kernel.Route {
	protocol, metric := plan.ConnectedMark(r.Dst)
	return kernel.Route{Dst: r.Dst, Link: r.Link, Protocol: protocol, Metric: metric, Type: kernel.Unicast}
}

// announced is the route of the kernel for a.
func (h *Host) announced(a plan.Announced) kernel.Route {
	r := kernel.Route{Dst: a.Dst, Link: a.Link, Protocol: h.routeProtocol, Metric: plan.AnnouncedMetric, Type: kernel.Unicast}
	if a.Link == "" {
		r.Type = kernel.Unreachable
	}
	return r
}

// peerRoute is the route of the kernel for r.
func peerRoute(r plan.PeerRoute) kernel.Route {
	return kernel.Route{Dst: r.Dst, Via: r.Via, Link: r.Link, Protocol: plan.PeerProtocol, Metric: plan.PeerMetric, Type: kernel.Unicast}
}
