package doctor

import (
	"net/netip"

	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/xtables"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/settings"
)

// Facts are what was seen of the host.
type Facts struct {
	Settings settings.Settings
	// Unseen is what could not be looked at, and why.
	Unseen []string

	Kernel       Kernel
	Capabilities Capabilities
	Daemon       Daemon
	Host         uplink.Snapshot
	Neighbors    []kernel.Neighbor
	// Sysctls are those that exist, by their key.
	Sysctls map[string]string
	Uplinks []Uplink
	// Responders are the indexes of the links that have one.
	Responders []int
	Networks   []Network
	Hops       []Hop
	// Rules reports whether the table of ours is there; nil: not seen.
	Rules  *bool
	Taken  []Taken
	Docker Docker
	Names  Names
}

// Kernel is what the kernel is.
type Kernel struct {
	Release string
	// Rules is what nftables lack; Bridge and Veth are why there are no such
	// links; nil where they are there, or not looked for.
	Rules, Bridge, Veth error
	// Responder is why the kernel runs none.
	Responder error
	// Entries and Limit are those of the neighbor table, 0 where they are not seen.
	Entries, Limit int
}

// Capabilities are those of a process.
type Capabilities struct {
	Seen bool
	// Of says whose they are.
	Of   string
	Bits uint64
}

// Daemon is the ndp6 that runs, or why none does.
type Daemon struct {
	// Status is nil where there is no answer, and Err why.
	Status *admin.Status
	Err    error
	// Denied is set where there may be one that this user may not ask.
	Denied bool
	PID    int
	// Sockets are those that Docker should find it at and does not.
	Sockets []Socket
	// Store is why the store cannot be opened, nil if it can, is not there, or was
	// not looked at. Holder is the process that has it locked, 0 if not known.
	Store  error
	Holder int
}

// Socket is a path where nobody answers Docker.
type Socket struct {
	Path string
	// Stale sockets are there, but nobody listens.
	Stale bool
}

// Uplink is a link towards the router.
type Uplink struct {
	// Spec is what was asked for: a name, or auto.
	Spec string
	// Err is why there is none.
	Err  error
	Link kernel.Link
	uplink.Uplink
	// Gateway is the next hop of the IPv6 default route on it, if there is one.
	Gateway netip.Addr
	Probe   Probe
}

// Probe is what came of packets that were sent on an uplink.
type Probe struct {
	// Asked is set where the router was, and Answered where it answered.
	Asked, Answered bool
	// Router is who answered a router solicitation, sent where there is no
	// default route; Solicited is whether one was sent.
	Router    ndp.Router
	Solicited bool
	Found     bool
	// Owners are other hosts that have addresses of ours.
	Owners map[netip.Addr]inet.MAC
	// Echoes are what the router did to reach addresses of ours.
	Echoes map[netip.Addr]ndp.Echo
}

// Network is a network of ours: as the daemon says, or what is left in the
// kernel of one that does not answer.
type Network struct {
	ID, Bridge string
	// Uplink is the name of the link, empty where there is none.
	Uplink   string
	Internal bool
	// Routed networks have the same addresses everywhere.
	Routed bool
	// Shared networks have no route to their IPv6 pools, but to each address.
	Shared bool
	Pools  []netip.Prefix
	// Addrs are the containers' addresses with their MACs.
	Addrs []Addr
	// Exposed are the addresses at which neighbors of the uplink see them, and
	// which this host is to answer for where its prefixes cover them.
	Exposed []netip.Addr
	Ports   []Port
}

// Addr is an address of a container.
type Addr struct {
	Addr netip.Addr
	MAC  inet.MAC
	// Endpoint is Docker's id, empty where only the kernel is left to ask.
	Endpoint string
}

// Port is a published port.
type Port struct {
	Proto    uint8
	Addr     netip.Addr // of the container
	Port     uint16     // 0: not open at the container's own address
	HostPort uint16     // 0: none
}

// Hop is what the forward chains do with one packet.
type Hop struct {
	Network  Network
	Packet   judge.Packet
	Outward  bool
	Verdicts []judge.Verdict
	// Legacy is what legacy iptables do, if Used.
	Legacy xtables.Verdict
	Used   bool
}

// Taken is a published port that a process has which is not ndp6.
type Taken struct {
	Port
	hostport.Listener
	PID     int
	Command string
}

// Docker is the daemon that answers, if Err is nil and it was Asked.
type Docker struct {
	Asked bool
	Err   error
	engine.Release
}

// Names is what the host's resolver says of a name that has IPv6 addresses.
type Names struct {
	Asked      bool
	Name       string
	Err        error
	IPv4, IPv6 bool
}

// serves reports whether ndp6 has networks to serve, or is to check first that
// it could.
func (f *Facts) serves() bool {
	for _, n := range f.Networks {
		if !n.Internal {
			return true
		}
	}
	return f.Settings.Sysctls == settings.Check
}

// uplink returns the uplink of that name.
func (f *Facts) uplink(name string) (Uplink, bool) {
	for _, u := range f.Uplinks {
		if u.Err == nil && u.Name == name {
			return u, true
		}
	}
	return Uplink{}, false
}

// proxies reports whether neighbors of an uplink solicit addresses of ours there.
func (f *Facts) proxies(u Uplink) bool {
	if u.Err != nil {
		return false
	}
	if f.Settings.Sysctls == settings.Check {
		return true
	}
	for _, n := range f.Networks {
		for _, addr := range n.Exposed {
			if n.Uplink == u.Name && u.covers(addr) {
				return true
			}
		}
	}
	for _, n := range f.Neighbors {
		if n.Proxy && n.Link == u.Name && n.Protocol == protocol {
			return true
		}
	}
	return false
}

// covers reports whether addr is on the link.
func (u Uplink) covers(addr netip.Addr) bool {
	for _, p := range u.OnLink {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
