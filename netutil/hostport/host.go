// Package hostport holds ports of the host for containers, and relays to the
// containers what the firewall's address translation does not bring there:
// clients on the loopback and on the container's own bridge.
//
// A port is held by a socket that is bound to it, so that a clash with any
// other process is found by both. It accepts nothing before Serve.
package hostport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/netns"
)

// IANA's numbers of the protocols that have ports.
const (
	TCP  = 6
	UDP  = 17
	SCTP = 132
)

const (
	// defaultFlows bounds the clients of one port.
	defaultFlows = 10_000
	// defaultIdle is docker-proxy's.
	defaultIdle = 90 * time.Second
	// dialWait bounds the wait for a container that does not answer.
	dialWait = 30 * time.Second
)

// Descriptors that a flow takes from the process: TCP has two sockets, and a
// pipe each way that the kernel moves the bytes through.
const (
	tcpDescriptors = 6
	udpDescriptors = 1
)

const threadNamespace = "/proc/thread-self/ns/net"

// Limits bound what clients can make a Host spend. Zero values mean defaults.
type Limits struct {
	// Flows is how many TCP connections, or UDP clients, one port relays at a
	// time: 10,000. A further connection is reset; a further UDP client takes
	// the place of the one that has been silent longest.
	Flows int
	// Idle is how long a UDP client may be silent before it is forgotten: 90 s.
	Idle time.Duration
}

// A Host holds ports in one network namespace. It is safe for concurrent use.
type Host struct {
	limits Limits
	// namespace is nil where all goroutines are in it.
	namespace *os.File
	// room is how many more descriptors flows may take. Half of the process's
	// stay for everything else, whatever clients do.
	room atomic.Int64

	mu   sync.Mutex
	last uint16 // ephemeral port that was had last
}

// Open returns a Host for the calling thread's namespace. The caller closes it,
// after its ports.
func Open(l Limits) (*Host, error) {
	if l.Flows == 0 {
		l.Flows = defaultFlows
	}
	if l.Idle == 0 {
		l.Idle = defaultIdle
	}
	h := &Host{limits: l}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("read the limit of open files: %w", err)
	}
	h.room.Store(int64(min(files.Cur, 1<<30) / 2))

	here, err := os.Open(threadNamespace)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	everywhere, err := isElsewhere(here)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compare network namespaces: %w", err), here.Close())
	}
	if everywhere {
		return h, here.Close()
	}
	h.namespace = here
	return h, nil
}

// isElsewhere says whether a namespace is that of other goroutines as well. The
// process's, /proc/self, would be that of its first thread, which may be the
// caller's own.
func isElsewhere(namespace *os.File) (bool, error) {
	type result struct {
		info os.FileInfo
		err  error
	}
	elsewhere := make(chan result, 1)
	go func() {
		info, err := os.Stat(threadNamespace)
		elsewhere <- result{info, err}
	}()
	there := <-elsewhere
	here, err := namespace.Stat()
	return there.err == nil && err == nil && os.SameFile(here, there.info), errors.Join(there.err, err)
}

// Close closes the Host. Its ports are closed by themselves.
func (h *Host) Close() error {
	if h.namespace == nil {
		return nil
	}
	return h.namespace.Close()
}

// do calls fn where sockets open in the Host's namespace.
func (h *Host) do(fn func() error) error {
	if h.namespace == nil {
		return fn()
	}
	return netns.Do(fmt.Sprintf("/proc/self/fd/%d", h.namespace.Fd()), fn)
}

// dial opens a socket in the Host's namespace that is connected to target.
func (h *Host) dial(ctx context.Context, network string, target netip.AddrPort) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: dialWait}
	err = h.do(func() error {
		conn, err = dialer.DialContext(ctx, network, target.String())
		return err
	})
	return conn, err
}

// take takes descriptors for a flow, if there is room for them.
func (h *Host) take(n int64) bool {
	if h.room.Add(-n) >= 0 {
		return true
	}
	h.room.Add(n)
	return false
}

func (h *Host) give(n int64) { h.room.Add(n) }
