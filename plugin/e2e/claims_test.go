package e2e_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster"
)

// etcdAt is where the router has an etcd.
var etcdAt = netip.MustParseAddrPort("192.0.2.126:2379")

// TestClaims has two hosts with real Dockers share the LAN's prefix through etcd:
// T1, T3, T4 and T7 of the design.
func TestClaims(t *testing.T) {
	t.Parallel()
	tryAll(t, []scenario{{name: "two hosts", run: sharedBase, once: true}}, nil)
}

// sharedBase wants the traffic between containers of two hosts to see nothing of
// what happens to plugin, etcd and dockerd.
func sharedBase(b *bed) {
	etcd, err := b.Router.StartEtcd(b.ctx(), etcdAt)
	b.ok(err)
	defer func() { b.ok(etcd.Close()) }()
	b.restartWith(inCluster()...)
	defer b.liveRestore()()
	b.elsewhere(secondHost, func(second *bed) { second.settings = inCluster() }, func(second *bed) {
		const base = "ndp6.base=2001:db8:1::/64"
		b.network("web", "--ipam-opt", base)
		// The hosts of the lab are copies of one machine.
		create := []string{"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "--ipam-opt", base}
		second.refused([]string{"has the id", "at " + b.host.Addr(), "systemd-machine-id-setup"}, append(create, "web")...)
		second.restartWith(inCluster("--host-id=second")...)
		second.network("web", "--ipam-opt", base)
		c, d := b.echo("c1", "web"), second.echo("d1", "web")
		from, err := second.host.Sandbox(b.ctx(), "d1")
		b.ok(err)
		to, err := b.host.Sandbox(b.ctx(), "c1")
		b.ok(err)
		reachEachOther := func() {
			b.Helper()
			b.eventually(func() error {
				_, there := from.Ping(b.ctx(), c.addr, time.Second)
				_, back := to.Ping(b.ctx(), d.addr, time.Second)
				return errors.Join(there, back)
			})
		}
		reachEachOther()
		undisturbed := func(name string, event func()) {
			w, err := from.Watch(b.ctx(), c.addr)
			b.ok(err)
			b.watched(name, c, w, event)
		}
		undisturbed("plugin killed, its lease ends, and started", func() {
			b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
			time.Sleep(30 * time.Second) // What is tested.
			if p := second.status().Cluster.Peers; len(p) != 1 || p[0].State != cluster.Answering {
				b.Errorf("peers are %+v, want one that answers on the link", p)
			}
			b.startPlugin()
		})
		undisturbed("etcd away for a minute", func() {
			begin := time.Now()
			b.ok(etcd.Stop("KILL"))
			late := b.web("late", "web")
			b.reach(b.Outside, late, late.addr)
			second.exec(d, "ping", "-6", "-c1", "-W2", late.addr.String())
			b.refused([]string{"new ones need etcd"}, append(create, "more")...)
			b.docker("rm", "-f", "late")
			time.Sleep(time.Until(begin.Add(time.Minute))) // What is tested.
			b.ok(etcd.Start(b.ctx()))
		})
		reachEachOther()
		undisturbed("dockerd restarted with live-restore", func() {
			b.ok(b.host.StopEngine(b.ctx(), "TERM"))
			b.startEngine(b.flags...)
		})
		b.network("more", "--ipam-opt", base) // Claims go on.
		b.docker("network", "rm", "more")

		for _, h := range []*bed{b, second} {
			h.removeAll()
		}
	})
	b.restartWith()
}

// How long those who know a host from etcd wait for it.
const (
	clusterLease = 4 * time.Second
	clusterHold  = 2 * time.Second
)

// inCluster are settings of a host that shares prefixes through the router's etcd.
func inCluster(more ...string) []string {
	return append([]string{"--etcd=http://" + etcdAt.String(), "--etcd-lease=" + clusterLease.String(), "--peer-hold=" + clusterHold.String()}, more...)
}

// restartWith starts the plugin anew with other settings.
func (b *bed) restartWith(settings ...string) {
	b.Helper()
	b.settings = settings
	b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
	b.startPlugin()
}
