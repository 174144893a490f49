package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"

	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

const (
	// dataGateway is the key under which a pool's answer names the gateway.
	dataGateway = "com.docker.network.gateway"
	// linkLocalGateway is the IPv6 gateway of networks without --gateway.
	linkLocalGateway = "fe80::1/64"
	// noIPv4 is what every Docker takes for "no address": it is exempt from the
	// search for an overlap, in which dockerd asks for another pool until it
	// gets one.
	noIPv4 = "0.0.0.0/0"
)

// RequestPool lends a prefix to a network: the one asked for, else one that
// source chooses. Its errors wrap inet.ErrConflict where the prefix is used.
func (m *IPAM) RequestPool(ctx context.Context, r *ipam.RequestPoolRequest) (*ipam.RequestPoolResponse, error) {
	options, err := parseOptions(r.Options, m.log)
	if err != nil {
		return nil, err
	}
	if m.global && r.AddressSpace == globalSpace {
		return m.swarm.requestPool(r, options)
	}
	none, err := m.withoutIPv4(r, options)
	if err != nil {
		return nil, err
	}
	if none {
		return &ipam.RequestPoolResponse{PoolID: noIPv4ID, Pool: noIPv4, Data: map[string]string{dataGateway: noIPv4}}, nil
	}
	want, err := parseWanted(r, options)
	if err != nil {
		return nil, err
	}
	if want.Prefix.IsValid() {
		p, err := m.reconfirm(want)
		if err != nil {
			return nil, err
		}
		if p != nil {
			return lent(p), nil
		}
	}
	facts, err := m.host.Facts(ctx)
	if err != nil {
		return nil, fmt.Errorf("learn what the host uses: %w", err)
	}
	if r.V6 && options.base.IsValid() {
		if want, err = m.claimFor(ctx, want, options, facts); err != nil {
			return nil, err
		}
	}
	p, err := m.lend(want, r.V6, options.wish, facts)
	if err != nil {
		m.unclaim(want)
		return nil, err
	}
	return lent(p), nil
}

// reconfirm is confirm for a caller that holds nothing.
func (m *IPAM) reconfirm(want Pool) (*pool, error) {
	m.changes.Lock()
	defer m.changes.Unlock()
	return m.confirm(want)
}

// lend makes a new pool of want, whose prefix is the zero value when it is to be
// chosen.
func (m *IPAM) lend(want Pool, v6 bool, wish source.Wish, facts source.Facts) (*pool, error) {
	m.changes.Lock()
	defer m.changes.Unlock()
	choice, err := m.choose(want, v6, wish, facts)
	if err != nil {
		return nil, err
	}
	want.Prefix, want.Source, want.Reason, want.Since = choice.Prefix, choice.From, choice.Reason, now()
	p := newPool(want, time.Now())
	p.creating = !m.global || p.is4()
	if err := m.add(p); err != nil {
		return nil, err
	}
	m.log.Info("pool lent", "pool_id", p.id, "source", choice.From, "reason", choice.Reason)
	return p, nil
}

func (m *IPAM) choose(want Pool, v6 bool, wish source.Wish, facts source.Facts) (source.Choice, error) {
	used, given := m.prefixes(), want.Prefix
	switch {
	case given.IsValid():
		if v6 {
			if err := m.checkWish(given, wish, facts); err != nil {
				return source.Choice{}, err
			}
		}
		if err := inet.CheckOverlap(given, used); err != nil {
			return source.Choice{}, err
		}
		foreign := facts.Foreign
		if m.global {
			foreign = foreign.BesideHosts()
		}
		if err := foreign.CheckPool(given); err != nil {
			return source.Choice{}, err
		}
		if want.Base.IsValid() {
			return source.Choice{Prefix: given, From: "claimed", Reason: "claimed from base " + want.Base.String()}, nil
		}
		return source.Choice{Prefix: given, From: "given", Reason: "asked for with --subnet"}, nil
	case v6:
		return m.source.IPv6(facts, used, wish)
	default:
		return m.source.IPv4(facts, used)
	}
}

// checkWish says where a pool that is given is not as its request wishes. A pool
// that was chosen once is given with the same wish at a replay.
func (m *IPAM) checkWish(given netip.Prefix, wish source.Wish, facts source.Facts) error {
	switch {
	case wish.Bits != 0 && wish.Bits != given.Bits():
		return fmt.Errorf("--ipam-opt %s=%d contradicts --subnet %s: leave one of them out", optionPrefixLen, wish.Bits, given)
	case wish.From != "" && wish.From != source.Auto && !m.source.Has(wish.From, facts, given):
		return fmt.Errorf("--ipam-opt %s=%s contradicts --subnet %s, which is from elsewhere: leave one of them out", optionSource, wish.From, given)
	}
	return nil
}

// withoutIPv4 reports whether r asks for the pool that stands for "no IPv4". A
// replay names that pool, and then it is all that is known.
func (m *IPAM) withoutIPv4(r *ipam.RequestPoolRequest, o poolOptions) (bool, error) {
	switch {
	case r.V6:
		return false, nil
	case r.Pool == noIPv4:
		return true, nil
	case r.Pool == "":
		return o.noIPv4 || m.noIPv4, nil
	case o.noIPv4:
		return false, fmt.Errorf("--ipam-opt %s=none contradicts --subnet %s: leave one of them out", optionIPv4, r.Pool)
	}
	return false, nil
}

// parseWanted returns the pool that r describes, without a prefix when it names
// none. Docker 20.10 leaves host bits in what it passes on.
func parseWanted(r *ipam.RequestPoolRequest, o poolOptions) (Pool, error) {
	var want Pool
	var err error
	if r.V6 {
		want.IID = o.iid
	}
	if r.Pool == "" {
		if r.SubPool != "" {
			return Pool{}, fmt.Errorf("--ip-range %s without --subnet: give the subnet that it is a part of", r.SubPool)
		}
		return want, nil
	}
	if want.Prefix, err = parsePrefix("--subnet", r.Pool, r.V6); err != nil {
		return Pool{}, err
	}
	if r.SubPool != "" {
		if want.Range, err = parsePrefix("--ip-range", r.SubPool, r.V6); err != nil {
			return Pool{}, err
		}
	}
	return want, want.check()
}

func parsePrefix(flag, s string, v6 bool) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%s %q is not a prefix: use a form like 2001:db8::/80 or 10.0.0.0/24", flag, s)
	}
	if p.Addr().Is4() == v6 {
		asked := "IPv4"
		if v6 {
			asked = "IPv6"
		}
		return netip.Prefix{}, fmt.Errorf("%s %s is not %s, which the request is for: use a subnet of that family", flag, s, asked)
	}
	return p.Masked(), nil
}

// lent is the answer that lends p.
func lent(p *pool) *ipam.RequestPoolResponse {
	r := &ipam.RequestPoolResponse{PoolID: p.id, Pool: p.prefix.String(), Data: map[string]string{}}
	if !p.is4() {
		r.Data[dataGateway] = linkLocalGateway
	}
	return r
}
