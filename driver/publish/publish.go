// Package publish makes of -p what it means on Docker's bridge: it decides
// which ports of the host and which of a container's own are open, holds the
// host's, and relays to the container where address translation does not
// reach. The firewall's rules are not its own work.
package publish

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/hostport"
)

// A Publisher holds the host ports of endpoints. It is safe for concurrent
// use; calls for one endpoint take turns.
type Publisher struct {
	host *hostport.Host
	log  *slog.Logger

	mu        sync.Mutex
	endpoints map[string]*endpoint
}

// An Endpoint is what is published of one endpoint.
type Endpoint struct {
	ID        string
	Addrs     []netip.Addr // the container's
	Published []firewall.Published
	// Unheld are those whose host port somebody else has, since a restart, or
	// that the kernel can not hold. They are translated, not relayed.
	Unheld []firewall.Published
}

// endpoint is what an Endpoint needs.
type endpoint struct {
	// turn has room for the one call that changes the endpoint.
	turn chan struct{}

	// These change with Publisher.mu held, and by the call whose turn it is.
	calls     int // under way or waiting
	addrs     []netip.Addr
	published []firewall.Published
	held      ports
}

// New returns a Publisher of ports of host.
func New(host *hostport.Host, log *slog.Logger) *Publisher {
	return &Publisher{host: host, log: log, endpoints: map[string]*endpoint{}}
}

// Publish holds the host ports of mappings, all or none, and returns what the
// firewall is to let through and translate. Nothing is relayed before Serve.
// An endpoint that has ports keeps those that it still wants: so a repeated
// call returns the same. An error names the port, and is one of
// hostport.ErrInUse where another has it.
//
// A port whose host address is of a family that the container has no address
// of is relayed, and nothing for the firewall.
func (p *Publisher) Publish(endpointID string, addrs []netip.Addr, mappings []Mapping, o Options) ([]firewall.Published, error) {
	e, done := p.begin(endpointID)
	defer done()
	bindings, left := Decide(addrs, mappings, o)
	for _, m := range left {
		p.log.Warn("port not published: the container has no address that it could lead to",
			"endpoint", endpointID, "port", m.String())
	}
	next, published, err := p.reserve(endpointID, e, bindings, o)
	if err != nil {
		return nil, errors.Join(err, next.without(e.held).close())
	}
	if err := p.settle(e, addrs, published, next); err != nil {
		p.log.Warn("port not given back", "endpoint", endpointID, "error", err)
	}
	return slices.Clone(published), nil
}

// reserve returns the ports for bindings, old ones and new.
func (p *Publisher) reserve(id string, e *endpoint, bindings []Binding, o Options) (ports, []firewall.Published, error) {
	next := ports{}
	var published []firewall.Published
	for _, b := range bindings {
		var port uint16
		if len(b.HostAddrs) > 0 {
			var err error
			if b, port, err = p.reserveOne(id, e, next, b, o); err != nil {
				return next, nil, fmt.Errorf("publish port %d/%s: %w", b.Port, protoName(b.Proto), err)
			}
		}
		published = append(published, b.published(port)...)
	}
	return next, published, nil
}

// reserveOne adds to next the host port of b, and returns it with what of b
// could be had.
func (p *Publisher) reserveOne(id string, e *endpoint, next ports, b Binding, o Options) (Binding, uint16, error) {
	if port, ok := e.held.reuse(next, b); ok {
		return b, port, nil
	}
	held, err := p.host.Reserve(b.Proto, b.HostAddrs, b.First, b.Last)
	if errors.Is(err, hostport.ErrNoSCTP) {
		port, err := p.unheld(id, b)
		return b, port, err
	}
	taken := (*hostport.BindError)(nil)
	if o.IPv4MayBeTaken && errors.Is(err, hostport.ErrInUse) && errors.As(err, &taken) && taken.Addr.Is4() {
		six := slices.DeleteFunc(slices.Clone(b.HostAddrs), netip.Addr.Is4)
		if len(six) > 0 {
			p.log.Warn("port published for IPv6 only", "endpoint", id, "error", err)
			b.HostAddrs = six
			return p.reserveOne(id, e, next, b, Options{})
		}
	}
	if err != nil {
		return b, 0, err
	}
	for _, h := range held {
		next.add(h, b.Port)
	}
	return b, held[0].AddrPort().Port(), nil
}

// unheld chooses a port that the kernel can not hold. What others of ours have
// is known, what other processes have is not.
func (p *Publisher) unheld(id string, b Binding) (uint16, error) {
	if b.First == 0 {
		return 0, fmt.Errorf("choose a free host port: %w, or publish a certain one with -p HOST-PORT:%d/sctp", hostport.ErrNoSCTP, b.Port)
	}
	taken := func(port uint16) bool {
		for _, e := range p.List() {
			if e.ID != id && slices.ContainsFunc(e.Published, func(have firewall.Published) bool {
				return have.Proto == b.Proto && have.HostPort == port &&
					slices.ContainsFunc(b.HostAddrs, func(a netip.Addr) bool { return overlap(a, have.HostAddr) })
			}) {
				return true
			}
		}
		return false
	}
	for port := int(b.First); port <= int(b.Last); port++ {
		if !taken(uint16(port)) {
			p.log.Warn("SCTP port published but not held: another process may take it",
				"endpoint", id, "port", port, "error", hostport.ErrNoSCTP)
			return uint16(port), nil
		}
	}
	return 0, &hostport.BindError{Proto: b.Proto, Addr: b.HostAddrs[0], First: b.First, Last: b.Last, Err: hostport.ErrInUse}
}

// Serve begins to relay to an endpoint. It is called once the firewall has
// what Publish returned, so that no connection stays with the host that should
// have been translated.
func (p *Publisher) Serve(endpointID string) error {
	e, done := p.begin(endpointID)
	defer done()
	var errs []error
	for _, h := range e.held.sorted() {
		to := netip.AddrPortFrom(target(e.addrs, h.AddrPort().Addr()), h.container)
		errs = append(errs, h.Serve(to))
	}
	return errors.Join(errs...)
}

// Unpublish gives an endpoint's host ports back, and ends what is relayed. An
// endpoint without any is no error.
func (p *Publisher) Unpublish(endpointID string) error {
	e, done := p.begin(endpointID)
	defer done()
	return p.settle(e, nil, nil, nil)
}

// Restore holds the ports again that an endpoint had before a restart. A port
// that another has taken is an error for the log, not a reason to give up the
// rest: what it is translated to stays. A repeated call tries such ports again.
func (p *Publisher) Restore(endpointID string, addrs []netip.Addr, published []firewall.Published) error {
	e, done := p.begin(endpointID)
	defer done()
	next := ports{}
	var errs []error
	for _, pub := range published {
		if pub.HostPort == 0 {
			continue
		}
		one := Binding{Proto: pub.Proto, Port: pub.Port, First: pub.HostPort, Last: pub.HostPort, HostAddrs: []netip.Addr{pub.HostAddr}}
		if _, ok := e.held.reuse(next, one); ok {
			continue
		}
		held, err := p.host.Reserve(pub.Proto, one.HostAddrs, one.First, one.Last)
		if err != nil {
			errs = append(errs, fmt.Errorf("hold port %d/%s of endpoint %s again: %w", pub.Port, protoName(pub.Proto), endpointID, err))
			continue
		}
		next.add(held[0], pub.Port)
	}
	errs = append(errs, p.settle(e, addrs, published, next))
	return errors.Join(errs...)
}

// List returns all endpoints that have ports, by their ID.
func (p *Publisher) List() []Endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Endpoint
	for _, id := range slices.Sorted(maps.Keys(p.endpoints)) {
		e := p.endpoints[id]
		if len(e.published) == 0 {
			continue
		}
		list = append(list, Endpoint{
			ID: id, Addrs: slices.Clone(e.addrs), Published: slices.Clone(e.published),
			Unheld: slices.DeleteFunc(slices.Clone(e.published), func(pub firewall.Published) bool {
				return pub.HostPort == 0 || e.held.has(pub)
			}),
		})
	}
	return list
}

// Close gives all ports back.
func (p *Publisher) Close() error {
	var errs []error
	for _, e := range p.List() {
		errs = append(errs, p.Unpublish(e.ID))
	}
	return errors.Join(errs...)
}

// begin waits for the turn of a call, which ends with done.
func (p *Publisher) begin(id string) (e *endpoint, done func()) {
	p.mu.Lock()
	e = p.endpoints[id]
	if e == nil {
		e = &endpoint{turn: make(chan struct{}, 1)}
		p.endpoints[id] = e
	}
	e.calls++
	p.mu.Unlock()
	e.turn <- struct{}{}
	return e, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		<-e.turn
		e.calls--
		if e.calls == 0 && len(e.published) == 0 {
			delete(p.endpoints, id)
		}
	}
}

// settle makes these ports an endpoint's, and closes those it had besides.
func (p *Publisher) settle(e *endpoint, addrs []netip.Addr, published []firewall.Published, next ports) error {
	p.mu.Lock()
	gone := e.held.without(next)
	e.addrs, e.published, e.held = slices.Clone(addrs), slices.Clone(published), next
	p.mu.Unlock()
	return gone.close()
}
