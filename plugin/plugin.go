// Package plugin is the process: it starts and stops everything in order.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/request"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/xtables"
	"github.com/ndp6/ndp6/plugin/dropin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/lender"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/sweep"
	"github.com/ndp6/ndp6/plugin/systemd"
	"github.com/ndp6/ndp6/plugin/wire"
)

// Serve answers Docker's calls in the process's network namespace until ctx
// ends, and returns nil then. It makes the kernel match the records before it
// opens a socket: a socket that nobody serves stalls dockerd.
func Serve(ctx context.Context, s settings.Settings, log *slog.Logger) (err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	log = slog.New(request.Handler{Handler: log.Handler()})

	boot, err := store.BootID()
	if err != nil {
		return err
	}
	records, err := store.Open(s.StateDir, boot, log)
	if err != nil {
		return err
	}
	open.add(records.Close)
	tcp, err := listenMetrics(ctx, s.MetricsAddr)
	if err != nil {
		return err
	}
	if tcp != nil {
		open.add(func() error {
			_ = tcp.Close() // Closed already, unless nobody began to serve it.
			return nil
		})
	}

	host, speaker, err := newHost(s, records, log, &open)
	if err != nil {
		return err
	}
	held, err := hostport.Open(hostport.Limits{})
	if err != nil {
		return err
	}
	open.add(held.Close)
	ports := publish.New(held, log)
	open.add(ports.Close)
	soon := sweep.NewRequests()
	member, err := newMembership(s, boot, host, speaker, records, log, &open)
	if err != nil {
		return err
	}
	addresses, err := newIPAM(s, host, member.claims(), soon.Add, records, log)
	if err != nil {
		return err
	}
	networks, err := driver.New(driver.Config{
		Log:          log,
		ResyncPeriod: s.ResyncPeriod,
		Networks:     store.Lasting[plan.Network](records, "networks"),
		Endpoints:    store.Boot[plan.Endpoint](records, "endpoints"),
		Host:         host,
		Prober:       speaker,
		Ports:        ports,
		Lender:       newLender(s, addresses),
		Uplink:       s.Uplink,
		Announce:     s.Announce,
		CheckSysctls: s.Sysctls == settings.Check,
		Global:       s.Scope == settings.Global,
		Stale:        soon.Add,
	})
	if err != nil {
		return err
	}
	member.begin(addresses, networks)
	if err := networks.Restore(ctx); err != nil {
		return fmt.Errorf("restore the host: %w", err)
	}
	calls := wire.New(wire.Config{Network: networks, IPAM: addresses, Log: log})
	all := parts{log: log, records: records, host: host, speaker: speaker, addresses: addresses, networks: networks, calls: calls, member: member}
	beside := slices.Concat(newSweeper(s, networks, addresses, soon, records, log), newAdmin(s, all, tcp, &open), member.tasks())
	return answer(ctx, s.Sockets, calls, networks, beside, log)
}

// newHost connects to the kernel.
func newHost(s settings.Settings, records *store.Store, log *slog.Logger, open *closers) (*reconcile.Host, *ndisc.Speaker, error) {
	conn, err := kernel.Open()
	if err != nil {
		return nil, nil, err
	}
	open.add(conn.Close)
	conn.SysctlDir = s.SysctlDir
	rules, err := nft.Open()
	if err != nil {
		return nil, nil, err
	}
	open.add(rules.Close)
	legacy, err := xtables.Open()
	if err != nil {
		return nil, nil, err
	}
	open.add(legacy.Close)
	ledger, err := newLedger(s, records, log)
	if err != nil {
		return nil, nil, err
	}
	speaker := ndisc.New(log)
	open.add(speaker.Close)
	host, err := reconcile.NewHost(reconcile.HostConfig{
		Log: log, Conn: conn, Rules: rules, Legacy: legacy, Speaker: speaker,
		Firewalld:     s.Firewalld,
		Ledger:        ledger,
		Uplinks:       store.Boot[uplink.Uplink](records, "uplinks"),
		CheckSysctls:  s.Sysctls == settings.Check,
		RouteProtocol: s.RouteProtocol,
		Answering:     s.Responder,
		NASource:      s.NASource,
	})
	if err != nil {
		return nil, nil, err
	}
	open.add(host.Close)
	return host, speaker, nil
}

// newLedger returns the sysctls that were changed since the host booted.
func newLedger(s settings.Settings, records *store.Store, log *slog.Logger) (reconcile.Ledger, error) {
	ledger := store.Boot[reconcile.Change](records, "sysctls")
	if s.SysctlDropin == "" {
		return ledger, nil
	}
	return dropin.New(ledger, s.SysctlDropin, log)
}

// newIPAM makes the IPAM driver with the records of an earlier process.
func newIPAM(s settings.Settings, host *reconcile.Host, claims ipam.Claims, stale func(), records *store.Store, log *slog.Logger) (*ipam.IPAM, error) {
	return ipam.New(ipam.Config{
		Log:       log,
		Host:      facts{host: host, uplink: s.Uplink},
		Pools:     store.Lasting[ipam.Pool](records, "pools"),
		Leases:    store.Boot[ipam.Lease](records, "leases"),
		Secrets:   store.Lasting[ipam.Secret](records, "secrets"),
		Blocks:    s.Pools,
		IPv4Pools: s.IPv4Pools,
		NoIPv4:    s.NoIPv4,
		Wish:      source.Wish{From: s.PoolSource, Bits: s.PrefixLen},
		IID:       s.IID,
		Claims:    claims,
		Global:    s.Scope == settings.Global,
		Stale:     stale,
	})
}

// newLender returns what tells the network driver of pools and containers.
func newLender(s settings.Settings, addresses *ipam.IPAM) *lender.Lender {
	if s.DockerSocket == "" {
		return lender.New(nil, addresses)
	}
	return lender.New(engine.New(s.DockerSocket), addresses)
}

// answer serves the sockets while the driver keeps the host, and the tasks beside run.
func answer(ctx context.Context, sockets []string, server *wire.Server, networks *driver.Driver, beside []task, log *slog.Logger) error {
	listeners, err := listen(sockets)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx, listeners...) })
	group.Go(func() error { return networks.Run(ctx) })
	for _, run := range append(beside, serviceTasks(networks, log)...) {
		group.Go(func() error { return run(ctx) })
	}
	var paths []string
	for _, l := range listeners {
		paths = append(paths, l.Path())
	}
	log.Info("ready", "sockets", paths)
	if err := systemd.Ready(); err != nil {
		log.Warn("service manager not told", "err", err)
	}
	return group.Wait()
}

// closers are closed in the reverse order in which they were added.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for _, f := range slices.Backward(*c) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
