package kernel

import (
	"errors"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// poolSize is how many requests the kernel is asked at once: links are
	// changed one after the other, but neighbors need not wait for them.
	poolSize = 4
	// requestSize holds the answers to requests that change something.
	requestSize = 16 << 10
)

// A pool sends each request by one of several sockets that nobody else uses
// meanwhile.
type pool struct {
	sockets []*socket
	free    chan *socket
}

func openPool() (*pool, error) {
	p := &pool{free: make(chan *socket, poolSize)}
	for range poolSize {
		s, err := openSocket(unix.NETLINK_ROUTE, requestSize)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.sockets = append(p.sockets, s)
		p.free <- s
	}
	return p, nil
}

// close closes the sockets, if they were ever opened.
func (p *pool) close() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, s := range p.sockets {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// has reports whether a port is that of one of the sockets.
func (p *pool) has(port uint32) bool {
	return slices.ContainsFunc(p.sockets, func(s *socket) bool { return s.pid == port })
}

func (p *pool) execute(req *nl.NetlinkRequest) error {
	s := <-p.free
	defer func() { p.free <- s }()
	return s.execute(req)
}

func (p *pool) batch(reqs ...*nl.NetlinkRequest) []error {
	s := <-p.free
	defer func() { p.free <- s }()
	return s.batch(reqs...)
}

func (p *pool) get(req *nl.NetlinkRequest, fn func(reply)) error {
	s := <-p.free
	defer func() { p.free <- s }()
	return s.get(req, fn)
}
