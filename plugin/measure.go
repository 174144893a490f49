package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/metrics"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/wire"
)

// parts are those of the process that count something.
type parts struct {
	log       *slog.Logger
	records   *store.Store
	host      *reconcile.Host
	speaker   *ndisc.Speaker
	addresses *ipam.IPAM
	networks  *driver.Driver
	calls     *wire.Server
	member    *membership
}

// measure reads all that there is to tell. Unlike a look at the host it keeps
// no call waiting for more than 3 ms with 10,000 endpoints.
func (p parts) measure(started time.Time) (metrics.Snapshot, error) {
	self, selfErr := metrics.Self(started)
	host, hostErr := p.host.Counts()
	drops, dropsErr := p.host.Drops()
	s := metrics.Snapshot{
		Process: self,
		Calls:   p.calls.Counts(),
		Driver:  p.networks.Counts(),
		Host:    host,
		Speaker: p.speaker.Counts(),
		Pools:   p.addresses.Pools(),
		Drops:   drops,
	}
	s.Lasting, s.Boot = p.records.Counts()
	if p.member.Member != nil {
		counts := p.member.Counts()
		s.Cluster = &counts
	}
	return s, errors.Join(selfErr, hostErr, dropsErr)
}

// listenMetrics listens where metrics are to be served, nil where they are not.
func listenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // none is what was asked for.
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	remedy := "choose another"
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		err, remedy = syscall.EADDRINUSE, "another process has the port: choose another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err, remedy = syscall.EADDRNOTAVAIL, "the host does not have the address: choose one that ip address lists"
	}
	return nil, fmt.Errorf("--metrics-addr (NDP6_METRICS_ADDR) %q: %w: %s", addr, err, remedy)
}

// status returns what ndp6 status shows.
func (p parts) status(ctx context.Context, started time.Time) (admin.Status, error) {
	status, err := p.networks.Status(ctx)
	dropped, dropsErr := p.host.Drops()
	s := admin.Status{
		Schema: admin.Schema, Started: started, Time: time.Now().UTC().Truncate(time.Second),
		Status: status, Pools: p.addresses.Pools(),
	}
	if p.member.Member != nil {
		c := p.member.Status()
		s.Cluster = &c
	}
	for reason, c := range dropped {
		if c.Packets > 0 {
			s.Drops = append(s.Drops, admin.Drop{Reason: reason, Packets: c.Packets})
		}
	}
	slices.SortFunc(s.Drops, func(a, b admin.Drop) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	return s, errors.Join(err, dropsErr)
}
