package fault_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/lender"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/wire"
)

// A process is ndp6 on the real kernel and the real store. Its calls run on
// the test's goroutine, whose thread is in the test's namespace.
type process struct {
	faults    *faults
	host      *reconcile.Host
	driver    *driver.Driver
	ipam      *ipam.IPAM
	networks  *store.Bucket[plan.Network]
	endpoints *store.Bucket[plan.Endpoint]
	sysctls   *store.Bucket[reconcile.Change]
	pools     *store.Bucket[ipam.Pool]
	leases    *store.Bucket[ipam.Lease]
	server    *wire.Server
	// serve is the rest of the start: the kernel follows the records.
	serve func()
	// end lets go of what the kernel gave the process.
	end func()
}

// start starts a process as plugin.Serve does, and returns when it would
// answer calls.
func (b *bed) start(tb testing.TB) *process {
	tb.Helper()
	p := b.newProcess(tb)
	p.serve()
	return p
}

// newProcess is start before anything changes in the kernel.
func (b *bed) newProcess(tb testing.TB) *process {
	tb.Helper()
	f := &faults{}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("start: %v", err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	boot, err := store.BootID()
	must(err)
	s, err := store.Open(b.dir, boot, log)
	must(err)
	conn, err := kernel.Open()
	must(err)
	rules, err := nft.Open()
	must(err)
	speaker := ndisc.New(log)
	held, err := hostport.Open(hostport.Limits{})
	must(err)
	ports := publish.New(held, log)
	p := &process{
		faults:    f,
		networks:  store.Lasting[plan.Network](s, "networks"),
		endpoints: store.Boot[plan.Endpoint](s, "endpoints"),
		sysctls:   store.Boot[reconcile.Change](s, "sysctls"),
		pools:     store.Lasting[ipam.Pool](s, "pools"),
		leases:    store.Boot[ipam.Lease](s, "leases"),
	}
	p.end = func() {
		p.host.Close()
		ports.Close()
		held.Close()
		speaker.Close()
		rules.Close()
		conn.Close()
		s.Close()
	}
	p.host, err = reconcile.NewHost(reconcile.HostConfig{
		Log: log, Conn: conn, Rules: rules, Speaker: speaker, Answering: b.answering,
		Ledger:  records[reconcile.Change]{p.sysctls, "sysctls", f},
		Uplinks: records[uplink.Uplink]{store.Boot[uplink.Uplink](s, "uplinks"), "uplinks", f},
	})
	must(err)
	brittle := host{p.host, f}
	p.ipam, err = ipam.New(ipam.Config{
		Log: log, Host: facts{brittle},
		Pools:   records[ipam.Pool]{p.pools, "pools", f},
		Leases:  records[ipam.Lease]{p.leases, "leases", f},
		Secrets: store.Lasting[ipam.Secret](s, "secrets"),
	})
	must(err)
	p.driver, err = driver.New(driver.Config{
		Log:       log,
		Networks:  records[plan.Network]{p.networks, "networks", f},
		Endpoints: records[plan.Endpoint]{p.endpoints, "endpoints", f},
		Host:      brittle, Prober: silence{}, Ports: ports, Uplink: "auto",
		Lender: lender.New(nil, p.ipam),
	})
	must(err)
	p.serve = func() {
		tb.Helper()
		// An error is for another try, as it is for who starts the process.
		if err := p.driver.Restore(tb.Context()); err != nil && !errors.Is(err, errFault) {
			must(err)
		}
		p.server = wire.New(wire.Config{Network: p.driver, IPAM: p.ipam, Log: log})
	}
	return p
}

// post sends one call and returns the answer's status and body.
func (p *process) post(method, body string) (int, string) {
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/"+method, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

// silence is an uplink on which nobody has any address.
type silence struct{}

func (silence) Probe(context.Context, string, netip.Addr, time.Duration) error { return nil }

// facts tell IPAM of the host, as package plugin does.
type facts struct{ host host }

func (f facts) Facts(context.Context) (source.Facts, error) {
	if err := f.host.Refresh(); err != nil {
		return source.Facts{}, err
	}
	u, err := f.host.Choose("auto")
	if err != nil {
		return source.Facts{}, err
	}
	fs := source.Facts{MachineID: "a machine", Uplink: u.Name, Foreign: f.host.Foreign()}
	fs.OnLink, fs.Routed = u.OnLink, u.Routed
	return fs, nil
}
