package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// fastPaths forward for endpoints in front of the kernel. There is one path for
// all of them, which is loaded when the first wants it.
type fastPaths struct {
	conn *kernel.Conn
	// available says why the kernel has none, nil if it has. It looks once.
	available func() error

	mu   sync.Mutex
	path *fastpath.Path
	// dead are the links that have the path of an earlier process, nil before
	// they were looked for.
	dead map[int]bool
	// links and ports are what was set, by the link's name and the endpoint.
	links map[string]fastLink
	ports map[string]fastPort
	// owners are the endpoints of addresses. One that leaves late must not take
	// an address that another has by now.
	owners map[netip.Addr]string
}

type fastLink struct {
	plan.FastLink

	index int
}

type fastPort struct {
	plan.FastPort

	index int // of the host side
}

func newFastPaths(conn *kernel.Conn) *fastPaths {
	return &fastPaths{
		conn: conn, available: sync.OnceValue(fastpath.Available),
		links: make(map[string]fastLink), ports: make(map[string]fastPort), owners: make(map[netip.Addr]string),
	}
}

func (f *fastPaths) lacks() bool { return f.available() != nil }

// observe adds what is there. Where the kernel has no fast path, and forwards by
// itself, all that is wanted is as good as there.
func (f *fastPaths) observe(s uplink.Snapshot, have, want plan.Host) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.findDead(s, have); err != nil {
		return err
	}
	index := make(map[string]int)
	for _, l := range s.Links {
		index[l.Name] = l.Index
	}
	for _, o := range want.Objects {
		switch o := o.Object.(type) {
		case plan.FastLink:
			if f.lacks() {
				have.Add("", o)
			}
		case plan.FastPort:
			// Nobody could make the link again.
			if index[o.Port] == 0 || f.lacks() {
				have.Add(o.ID, o)
			}
		}
	}
	if err := f.prune(index); err != nil {
		return err
	}
	for _, l := range f.links {
		if attached, err := f.path.UplinkAttached(l.index); err != nil {
			return err
		} else if attached {
			have.Add("", l.FastLink)
		}
	}
	for id, p := range f.ports {
		if attached, err := f.path.PortAttached(p.index); err != nil {
			return err
		} else if attached {
			have.Add(id, p.FastPort)
		}
	}
	return nil
}

// prune forgets what went with its link. Another may have the name now. Whoever
// calls holds mu.
func (f *fastPaths) prune(index map[string]int) error {
	for name, l := range f.links {
		if index[name] == l.index {
			continue
		}
		if err := f.path.DetachUplink(l.index); err != nil {
			return err
		}
		delete(f.links, name)
	}
	for id, p := range f.ports {
		if index[p.Port] == p.index {
			continue
		}
		if err := f.forget(p.FastPort, nil); err != nil {
			return err
		}
		delete(f.ports, id)
	}
	return nil
}

// findDead adds what an earlier process left, so that it goes or is replaced.
// Whoever calls holds mu.
func (f *fastPaths) findDead(s uplink.Snapshot, have plan.Host) error {
	if f.dead == nil {
		links, err := fastpath.Links()
		if err != nil {
			return err
		}
		f.dead = make(map[int]bool)
		for _, index := range links {
			f.dead[index] = true
		}
	}
	for _, l := range s.Links {
		if !f.dead[l.Index] {
			continue
		}
		if id, ok := strings.CutPrefix(l.Alias, plan.AliasEndpoint); ok {
			have.Add(id, plan.FastPort{ID: id, Port: l.Name})
		} else {
			have.Add("", plan.FastLink{Link: l.Name})
		}
	}
	return nil
}

// load returns the path, nil where the kernel has none. Whoever calls holds mu.
func (f *fastPaths) load() (*fastpath.Path, error) {
	if f.path != nil || f.lacks() {
		return f.path, nil
	}
	var err error
	f.path, err = fastpath.New()
	return f.path, err
}

// setLink has the path take what enters by an uplink.
func (f *fastPaths) setLink(l plan.FastLink) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, err := f.load()
	if path == nil {
		return errors.Join(err, f.removeDead(l.Link))
	}
	link, err := f.conn.Link(l.Link)
	if err != nil {
		return err
	}
	if link.MAC.IsZero() {
		return fmt.Errorf("fast path of uplink %s: %w, and the kernel forwards there", l.Link, errNoEthernet)
	}
	if err := path.SetPools(l.Pools); err != nil {
		return err
	}
	if err := path.AttachUplink(link.Index); err != nil {
		return fmt.Errorf("uplink %s: %w", l.Link, err)
	}
	delete(f.dead, link.Index)
	f.links[l.Link] = fastLink{l, link.Index}
	return nil
}

// setPort has the path forward for an endpoint.
func (f *fastPaths) setPort(p plan.FastPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, err := f.load()
	if path == nil {
		return errors.Join(err, f.removeDead(p.Port))
	}
	port, err := f.conn.Index(p.Port)
	if err != nil {
		return err
	}
	bridge, err := f.conn.Index(p.Bridge)
	if err != nil {
		return err
	}
	if err := f.conn.SetForwarding(p.Port, p.MAC); err != nil {
		return err
	}
	if err := f.forget(f.ports[p.ID].FastPort, p.Addrs); err != nil {
		return err
	}
	e := fastpath.Endpoint{Port: port, Bridge: bridge, MAC: p.MAC, Gateway: p.Gateway}
	for _, open := range p.Ports {
		e.Ports = append(e.Ports, fastpath.Port(open))
	}
	if err := path.Put(e, p.Addrs...); err != nil {
		return fmt.Errorf("endpoint %s: %w", p.ID, err)
	}
	delete(f.dead, port)
	f.ports[p.ID] = fastPort{p, port}
	for _, a := range p.Addrs {
		f.owners[a] = p.ID
	}
	return nil
}

// forget ends what the path does for the addresses of an endpoint that are not
// among those to keep. Whoever calls holds mu.
func (f *fastPaths) forget(p plan.FastPort, keep []netip.Addr) error {
	for _, a := range p.Addrs {
		if f.owners[a] != p.ID || slices.Contains(keep, a) {
			continue
		}
		if err := f.path.Remove(a); err != nil {
			return err
		}
		delete(f.owners, a)
	}
	return nil
}

// removeLink ends what the path does on an uplink, whichever process began it.
func (f *fastPaths) removeLink(l plan.FastLink) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	set, ok := f.links[l.Link]
	if ok {
		if err := f.path.DetachUplink(set.index); err != nil {
			return err
		}
		delete(f.links, l.Link)
		return nil
	}
	return f.removeDead(l.Link)
}

// removePort does so for an endpoint.
func (f *fastPaths) removePort(p plan.FastPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	set, ok := f.ports[p.ID]
	if !ok {
		return f.removeDead(p.Port)
	}
	if err := f.forget(set.FastPort, nil); err != nil {
		return err
	}
	if err := f.path.DetachPort(set.index); err != nil {
		return err
	}
	delete(f.ports, p.ID)
	return nil
}

// removeDead ends what an earlier process began on a link. Whoever calls holds mu.
func (f *fastPaths) removeDead(name string) error {
	index, err := f.conn.Index(name)
	if errors.Is(err, kernel.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = fastpath.Detach(index)
	}
	if err == nil {
		delete(f.dead, index)
	}
	return err
}

// same reports whether the path is on all uplinks where it was put.
func (f *fastPaths) same() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.links {
		if attached, err := f.path.UplinkAttached(l.index); err != nil || !attached {
			return false, err
		}
	}
	return true, nil
}

// counts returns how many packets were forwarded.
func (f *fastPaths) counts() (fastpath.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == nil {
		return fastpath.Counts{}, nil
	}
	return f.path.Counts()
}

// close leaves the path where it is, forwarding.
func (f *fastPaths) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == nil {
		return nil
	}
	return f.path.Close()
}

// FastPath says why the kernel has no fast path, nil if it has.
func (h *Host) FastPath() error { return h.fastPaths.available() }
