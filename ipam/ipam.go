package ipam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/docker/go-plugins-helpers/ipam"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Names of the address spaces that Docker asks for.
const (
	localSpace  = "ndp6"
	globalSpace = "ndp6-global"
)

// ErrInUse is wrapped by the error for an address that someone else has.
var ErrInUse = errors.New("address in use")

// Config is what an IPAM works with. All fields but the settings are required.
type Config struct {
	Log  *slog.Logger
	Host source.Host
	// Pools and Secrets outlive the host's boot, Leases do not.
	Pools   Records[Pool]
	Leases  Records[Lease]
	Secrets Records[Secret]

	// Blocks and IPv4Pools are where pools come from that are not given; see
	// source.Config.
	Blocks    []netip.Prefix
	IPv4Pools []netip.Prefix
	// NoIPv4 answers requests for an IPv4 pool that is not given with none.
	NoIPv4 bool
	// Wish is for IPv6 pools that are not given, without ndp6.source and
	// ndp6.prefix_len; see source.Config.
	Wish source.Wish
	// IID is the mode of pools without ndp6.iid, alloc.MAC when empty.
	IID alloc.Mode

	// Claims are where pools with ndp6.base come from; nil for nowhere.
	Claims Claims
	// Global is for a swarm whose managers give the addresses of all nodes: see swarm.go.
	Global bool

	// Stale, where set, is called when Docker gave a pool back and leases are
	// left in it: a release was lost, and only Sweep finds which. It returns at
	// once; Docker waits for it.
	Stale func()
}

// IPAM implements libnetwork's IPAM API. Its methods may be called at once.
type IPAM struct {
	log     *slog.Logger
	host    source.Host
	source  *source.Source
	records Records[Pool]
	leases  Records[Lease]
	secret  []byte
	noIPv4  bool
	global  bool
	iid     alloc.Mode
	stale   func()
	claims  Claims
	swarm   swarm

	// changes puts changes of pools in one order, in memory and in the store. It
	// is taken before mu, and held while the store syncs: only calls that create
	// or remove a network wait for it.
	changes sync.Mutex

	mu       sync.Mutex // guards the fields below and every pool's
	pools    map[string]*pool
	unpaired map[inet.MAC]unpaired
	// stable are the addresses that endpoints have by name, by the endpoint.
	stable map[string]netip.Addr
}

// New loads the records and returns an IPAM that goes on from them.
func New(c Config) (*IPAM, error) {
	secret, ula, err := loadSecrets(c.Secrets)
	if err != nil {
		return nil, err
	}
	src, err := source.New(source.Config{Blocks: c.Blocks, IPv4: c.IPv4Pools, ULA: ula, Wish: c.Wish})
	if err != nil {
		return nil, err
	}
	if c.IID == "" {
		c.IID = alloc.MAC
	}
	if _, err := alloc.ParseMode(string(c.IID)); err != nil {
		return nil, fmt.Errorf("--iid: %w", err)
	}
	if c.Stale == nil {
		c.Stale = func() {}
	}
	m := &IPAM{
		log: c.Log, host: c.Host, source: src, records: c.Pools, leases: c.Leases,
		secret: secret, noIPv4: c.NoIPv4, global: c.Global, iid: c.IID, stale: c.Stale, claims: c.Claims,
		pools: map[string]*pool{}, unpaired: map[inet.MAC]unpaired{}, stable: map[string]netip.Addr{},
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, nil
}

// GetCapabilities asks for MACs, because addresses are made of them, unless a
// manager gives addresses to all nodes: then MACs are made of those. Docker calls
// it once when it starts, so it begins a replay; see replay.go.
func (m *IPAM) GetCapabilities(context.Context) (*ipam.CapabilitiesResponse, error) {
	m.expectReplay()
	m.swarm.expectReplay()
	return &ipam.CapabilitiesResponse{RequiresMACAddress: !m.global}, nil
}

// GetDefaultAddressSpaces names the spaces of local and of global networks.
func (m *IPAM) GetDefaultAddressSpaces(context.Context) (*ipam.AddressSpacesResponse, error) {
	return &ipam.AddressSpacesResponse{LocalDefaultAddressSpace: localSpace, GlobalDefaultAddressSpace: globalSpace}, nil
}

// Ids of the two secrets.
const (
	secretIID = "iid"
	secretULA = "ula"
)

// loadSecrets returns the key of identifiers and the host's unique local
// prefix, made now if they never were.
func loadSecrets(records Records[Secret]) (key []byte, ula netip.Prefix, err error) {
	all, err := records.All()
	if err != nil {
		return nil, netip.Prefix{}, fmt.Errorf("load secrets: %w", err)
	}
	once := func(id string, fresh func() []byte) []byte {
		s, ok := all[id]
		if !ok && err == nil {
			s = Secret{Value: fresh()}
			err = records.Put(id, s)
		}
		return s.Value
	}
	key = once(secretIID, func() []byte { return []byte(rand.Text() + rand.Text()) })
	text := once(secretULA, func() []byte { return []byte(source.RandomULA().String()) })
	if err != nil {
		return nil, netip.Prefix{}, fmt.Errorf("store secret: %w", err)
	}
	ula, err = netip.ParsePrefix(string(text))
	if err != nil {
		return nil, netip.Prefix{}, fmt.Errorf("load secret %s: %w", secretULA, err)
	}
	return key, ula, nil
}
