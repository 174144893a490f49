package ipam

import (
	"net/netip"
	"time"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Records keeps values of one kind under their ids. Every change is one transaction.
type Records[T any] interface {
	All() (map[string]T, error)
	Put(id string, v T) error
	// Delete removes the record of id, and succeeds when there is none.
	Delete(id string) error
}

// A Pool is the record of a prefix that is lent to a network. Its id says the
// same as its first three fields.
type Pool struct {
	Prefix netip.Prefix `json:"prefix"`
	// Range is where automatic addresses come from (--ip-range); the zero value
	// is all of Prefix.
	Range netip.Prefix `json:"range,omitzero"`
	// IID is the mode that --ipam-opt gave, empty for the plugin's setting.
	IID alloc.Mode `json:"iid,omitempty"`
	// Base is what Prefix was claimed from, the zero value where it was not.
	Base netip.Prefix `json:"base,omitzero"`
	// Source says where Prefix came from: given, claimed, block, uplink, routed, ula, range, rebuilt.
	Source string `json:"source"`
	// Reason says it as source.Choice does. Records of earlier versions have none.
	Reason string `json:"reason,omitempty"`
	// Gateway is the address of Prefix that the network's gateway has, the zero
	// value when that is link-local.
	Gateway netip.Addr `json:"gateway,omitzero"`
	// Aux are the addresses that --aux-address keeps from endpoints.
	Aux []netip.Addr `json:"aux,omitempty"`
	// Released is set when Docker gave the pool back while leases were left.
	Released bool `json:"released,omitempty"`
	// Since is when the pool was lent.
	Since time.Time `json:"since,omitzero"`
}

// A Lease is the record of an endpoint's address.
type Lease struct {
	// Pool is the id of the address's pool.
	Pool string     `json:"pool"`
	Addr netip.Addr `json:"addr"`
	// MAC and Name are what Docker said of the endpoint: the name from Docker 29
	// on, neither when the lease was replayed.
	MAC  inet.MAC `json:"mac,omitzero"`
	Name string   `json:"name,omitempty"`
	// Mode is how the address was picked, empty where it was asked for.
	Mode alloc.Mode `json:"mode,omitempty"`
	// Endpoint is set for an address that a container has by its name beside
	// those that Docker asks for: Docker's id of the endpoint.
	Endpoint string `json:"endpoint,omitempty"`
	// Since is when the lease was made.
	Since time.Time `json:"since,omitzero"`
}

// key is the lease's id in the store. Pools do not overlap, so the address is enough.
func (l Lease) key() string { return l.Addr.String() }

// A Secret is a random value of this host, made once.
type Secret struct {
	Value []byte `json:"value"`
}
