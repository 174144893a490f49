package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/cluster/peers"
	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
)

// membership joins a Member of a cluster with the two drivers. Its zero value is
// of a host on its own.
type membership struct {
	*cluster.Member

	log      *slog.Logger
	networks *driver.Driver // set by begin
}

// answerWait is how long a silent peer may take to answer on the link, where it
// is asked twice: one that is there must not be taken for dead.
const answerWait = 1500 * time.Millisecond

// newMembership makes the host a member of the cluster that the settings name.
func newMembership(s settings.Settings, bootID string, host *reconcile.Host, speaker *ndisc.Speaker, records *store.Store, log *slog.Logger, open *closers) (*membership, error) {
	if len(s.Etcd.Endpoints) == 0 {
		return &membership{}, nil
	}
	id := s.Etcd.HostID
	if id == "" {
		machine := machineID()
		if machine == "" {
			return nil, errors.New("--etcd (NDP6_ETCD) needs an id of the host, and /etc/machine-id has none: give --host-id (NDP6_HOST_ID), or run systemd-machine-id-setup")
		}
		id = hostID(machine)
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	client, err := etcd.New(etcd.Config{
		Endpoints: s.Etcd.Endpoints, CAFile: s.Etcd.CA, CertFile: s.Etcd.Cert, KeyFile: s.Etcd.Key,
		User: s.Etcd.User, PasswordFile: s.Etcd.PasswordFile,
	})
	if err != nil {
		return nil, err
	}
	open.add(client.Close)
	m := &membership{log: log}
	m.Member, err = cluster.New(cluster.Config{
		Log: log, Etcd: client,
		Host: id, Name: name, BootID: bootID,
		Lease: s.Etcd.Lease, Hold: untilAsked(s.Etcd.Hold),
		NextHop: func() (netip.Addr, error) { return host.NextHop(s.Uplink) },
		Answers: func(ctx context.Context, addr netip.Addr) bool {
			u, err := host.Choose(s.Uplink)
			if err != nil {
				return true // Nobody can be asked, and nobody is reached anyway.
			}
			answered, err := speaker.Find(ctx, u.Name, addr, answerWait)
			return answered || err != nil
		},
		Changed: m.follow,
		Busy:    func() bool { return m.networks.Joined() > 0 },
		Peers:   store.Boot[peers.Peer](records, "peers"),
	})
	return m, err
}

// untilAsked is how long a silent host's routes stay before the host is asked:
// when nobody has answered the hold is over. It is not asked all the time.
func untilAsked(hold time.Duration) time.Duration { return max(hold-answerWait, hold/2) }

// hostID makes an id of a machine-id(5), which is not to be told to others.
func hostID(machine string) string {
	sum := sha256.Sum256([]byte("ndp6 host\x00" + machine))
	return hex.EncodeToString(sum[:16])
}

// claims returns where the IPAM driver claims blocks, nil for nowhere.
func (m *membership) claims() ipam.Claims {
	if m.Member == nil {
		return nil
	}
	return m.Member
}

// begin tells the drivers and the cluster of each other, before the host is
// restored: the routes of an earlier process are to stay.
func (m *membership) begin(addresses *ipam.IPAM, networks *driver.Driver) {
	if m.Member == nil {
		return
	}
	m.networks = networks
	m.Hold(addresses.Claimed())
	m.tell()
}

// tell tells the network driver who the peers are.
func (m *membership) tell() {
	var all []plan.Peer
	at := make(map[string]int)
	for _, r := range m.Routes(m.networks.Prefixes()) {
		i, known := at[r.Host]
		if !known {
			i = len(all)
			at[r.Host] = i
			all = append(all, plan.Peer{Host: r.Host, Via: r.Via})
		}
		all[i].Prefixes = append(all[i].Prefixes, r.Prefix)
	}
	m.networks.SetPeers(all)
}

// follow has the kernel follow news of these hosts.
func (m *membership) follow(ctx context.Context, hosts []string) {
	m.tell()
	if err := m.networks.SyncPeers(ctx, hosts); err != nil {
		m.log.WarnContext(ctx, "routes to peers not as planned", "err", err)
	}
}

// tasks returns what runs beside.
func (m *membership) tasks() []task {
	if m.Member == nil {
		return nil
	}
	return []task{m.Run}
}
