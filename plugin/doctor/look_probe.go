package doctor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/ndp"
)

const (
	// answerTime is how long a host of the link may take to answer.
	answerTime = 250 * time.Millisecond
	// askTime is how long a router may take to find an address: a proxy waits up
	// to 0.8 s by default before it answers.
	askTime = 1600 * time.Millisecond
	// routerTime is how long a router may take to advertise itself: RFC 4861
	// 6.2.6 lets it wait half a second.
	routerTime = 1200 * time.Millisecond
	// maxProbed and maxAsked are how many addresses of an uplink are probed for,
	// and how many the router is asked for.
	maxProbed = 16
	maxAsked  = 3
	// nameTime is how long a name may take.
	nameTime = 3 * time.Second
	// nameWithIPv6 is one that hosts with Docker ask for anyway.
	nameWithIPv6 = "registry-1.docker.io"
)

// probe sends packets on each uplink.
func (f *Facts) probe(ctx context.Context) {
	for i := range f.Uplinks {
		u := &f.Uplinks[i]
		if u.Err != nil || !u.Ready() || !u.Source.IsLinkLocalUnicast() {
			continue
		}
		if err := f.probeUplink(ctx, u); err != nil {
			f.unseen("what neighbors of uplink "+u.Name+" say", err)
		}
	}
}

func (f *Facts) probeUplink(ctx context.Context, u *Uplink) error {
	link := ndp.Link{Index: u.Index, Name: u.Name, MAC: u.MAC, Source: u.Source}
	p := &u.Probe
	if !u.Gateway.IsValid() {
		var err error
		p.Solicited = true
		p.Router, p.Found, err = ndp.Solicit(ctx, link, routerTime)
		if err != nil {
			return err
		}
	}
	conn, err := ndp.Open(link)
	if err != nil {
		return err
	}
	defer conn.Close()
	addrs := f.exposed(*u)
	gateway := u.Gateway
	if !gateway.IsValid() && p.Found {
		gateway = p.Router.Addr
	}
	owners, err := probeAll(ctx, conn, append(slices.Clone(addrs[:min(len(addrs), maxProbed)]), gateway))
	if err != nil {
		return err
	}
	mac, answered := owners[gateway]
	delete(owners, gateway)
	p.Owners = owners
	p.Asked, p.Answered = gateway.IsValid(), answered
	if !answered {
		return nil
	}
	p.Echoes = make(map[netip.Addr]ndp.Echo)
	for _, addr := range addrs[:min(len(addrs), maxAsked)] {
		if p.Echoes[addr], err = ndp.Ask(ctx, link, addr, gateway, mac, askTime); err != nil {
			return err
		}
	}
	return nil
}

// exposed are addresses of ours that neighbors of the uplink look for, some of
// each network before more of one.
func (f *Facts) exposed(u Uplink) []netip.Addr {
	var out []netip.Addr
	for i := range maxProbed {
		for _, n := range f.Networks {
			if n.Uplink == u.Name && i < len(n.Exposed) && u.covers(n.Exposed[i]) {
				out = append(out, n.Exposed[i])
			}
		}
	}
	return out
}

// probeAll asks who has the addresses, all at once. Addresses that are not valid
// are left out.
func probeAll(ctx context.Context, conn *ndp.Conn, addrs []netip.Addr) (map[netip.Addr]inet.MAC, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	owners := make(map[netip.Addr]inet.MAC)
	var errs []error
	for _, addr := range addrs {
		if !addr.IsValid() {
			continue
		}
		wg.Go(func() {
			err := conn.Probe(ctx, addr, answerTime)
			mu.Lock()
			defer mu.Unlock()
			if duplicate, ok := errors.AsType[*ndp.DuplicateError](err); ok {
				owners[addr] = duplicate.Owner
			} else if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return owners, errors.Join(errs...)
}

// askForName asks the host's resolver for both families of a name.
func (f *Facts) askForName(ctx context.Context, r Resolver) {
	if r == nil {
		r = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	n := Names{Asked: true, Name: nameWithIPv6}
	four, err4 := r.LookupNetIP(ctx, "ip4", n.Name)
	six, err6 := r.LookupNetIP(ctx, "ip6", n.Name)
	n.IPv4, n.IPv6 = len(four) > 0, len(six) > 0
	if !n.IPv4 && !n.IPv6 {
		n.Err = cmp.Or(err6, err4)
	}
	f.Names = n
}
