// Package lender joins what the IPAM driver knows of pools and Docker of
// containers, for the network driver, which meets neither.
package lender

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sync/singleflight"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/engine"
)

// Docker lists endpoints.
type Docker interface {
	Endpoints(ctx context.Context, network string) ([]engine.Endpoint, error)
}

// Addresses is the IPAM driver.
type Addresses interface {
	PoolSource(pool netip.Prefix) string
	Random(addr netip.Addr) bool
	CheckStable(pool netip.Prefix) error
	LendStable(s ipam.Stable) (netip.Addr, error)
	ReturnStable(endpoint string) error
}

// A Lender is a driver.Lender. Make it with New.
type Lender struct {
	docker    Docker
	addresses Addresses
	// asking answers all that wait for a network's endpoints by one question:
	// containers that start together would ask dozens of times.
	asking singleflight.Group
}

// New returns a Lender. Without Docker, which is nil then, there are no stable
// addresses.
func New(docker Docker, addresses Addresses) *Lender {
	return &Lender{docker: docker, addresses: addresses}
}

// Source implements driver.Lender.
func (l *Lender) Source(pool netip.Prefix) string { return l.addresses.PoolSource(pool) }

// Random implements driver.Lender.
func (l *Lender) Random(addr netip.Addr) bool { return l.addresses.Random(addr) }

// CheckStable implements driver.Lender.
func (l *Lender) CheckStable(pool netip.Prefix) error {
	if l.docker == nil {
		return errors.New("docker is to be asked for the containers' names, and --docker-socket (NDP6_DOCKER_SOCKET) is none: set it to the path of Docker's API socket, such as /run/docker.sock")
	}
	return l.addresses.CheckStable(pool)
}

// Stable implements driver.Lender. It is asked again until it has an answer.
func (l *Lender) Stable(ctx context.Context, r driver.StableRequest) (netip.Addr, error) {
	if l.docker == nil {
		return netip.Addr{}, l.CheckStable(r.Pool)
	}
	answer, err, _ := l.asking.Do(r.Network, func() (any, error) { return l.docker.Endpoints(ctx, r.Network) })
	if err != nil {
		return netip.Addr{}, err
	}
	endpoints := answer.([]engine.Endpoint)
	with := func(id string) func(engine.Endpoint) bool {
		return func(e engine.Endpoint) bool { return e.ID == id }
	}
	i := slices.IndexFunc(endpoints, with(r.Endpoint))
	if i < 0 || endpoints[i].Name == "" {
		return netip.Addr{}, driver.ErrUnnamed
	}
	addr, err := l.addresses.LendStable(ipam.Stable{
		Pool: r.Pool, Name: endpoints[i].Name, Endpoint: r.Endpoint, Addrs: r.Addrs,
		Alive: func(id string) bool { return slices.ContainsFunc(endpoints, with(id)) },
	})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("stable address of container %q: %w", endpoints[i].Name, err)
	}
	return addr, nil
}

// Return implements driver.Lender.
func (l *Lender) Return(endpoint string) error { return l.addresses.ReturnStable(endpoint) }
