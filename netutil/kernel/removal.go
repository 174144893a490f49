package kernel

import (
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// concurrentRemovals is how many links can go at once. The kernel answers
	// a removal only when every CPU has let go of the link, in some 20 ms, and
	// meanwhile works on others.
	concurrentRemovals = 16
	// removalSize holds the answer to a removal.
	removalSize = 8 << 10
)

// removals are sockets for requests that take long.
type removals struct {
	sockets []*socket
	free    chan *socket
}

func openRemovals() (removals, error) {
	r := removals{free: make(chan *socket, concurrentRemovals)}
	for range concurrentRemovals {
		s, err := openSocket(unix.NETLINK_ROUTE, removalSize)
		if err != nil {
			return removals{}, errors.Join(err, r.close())
		}
		r.sockets = append(r.sockets, s)
		r.free <- s
	}
	return r, nil
}

// execute sends one request on a socket that nobody else uses meanwhile.
func (r removals) execute(req *nl.NetlinkRequest) error {
	s := <-r.free
	defer func() { r.free <- s }()
	return s.execute(req)
}

func (r removals) close() error {
	var errs []error
	for _, s := range r.sockets {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
