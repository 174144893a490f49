package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// What other hosts of a large site announce: a /80 of each network of each.
const (
	otherHosts    = 1000
	otherNetworks = 100
)

// TestRoutedScale has a router tell a host the routes to all networks of 1,000
// other hosts, and then does on the host what goes on on it. It measures, and
// so has the machine for itself.
func TestRoutedScale(t *testing.T) {
	binary := requirements(t)
	for _, release := range lab.Releases() {
		if release.Docker != "28.5" || !wanted(release.Docker) {
			continue
		}
		b := newBed(t, release, binary)
		a := &announcer{bed: b}
		var err error
		start := time.Now()
		a.router, err = b.Router.StartBIRD(b.ctx(), routerConfig(hostNumber)+manyRoutes())
		b.ok(err)
		defer func() { b.ok(a.router.Close()) }()
		a.daemon, err = b.host.StartBIRD(b.ctx(), readDocument(t, "docs/routing/bird.conf"))
		b.ok(err)
		defer func() { b.ok(a.daemon.Close()) }()
		b.within(5*time.Minute, func() error {
			out, err := b.host.Exec(b.ctx(), "sh", "-c", "ip -6 route show proto bird | wc -l")
			if err == nil && strings.TrimSpace(out) != strconv.Itoa(otherHosts*otherNetworks) {
				err = fmt.Errorf("the host has %s routes", strings.TrimSpace(out))
			}
			return err
		})
		t.Logf("%d routes of %d hosts: in the host's kernel %s after the start of both BIRDs", otherHosts*otherNetworks, otherHosts, time.Since(start).Round(time.Millisecond))
		a.among()
	}
}

// manyRoutes is a part of BIRD's configuration: routes to the networks of other
// hosts, which are told as those of hosts are.
func manyRoutes() string {
	var config strings.Builder
	config.WriteString("protocol static others {\n\tipv6;\n")
	for h := range otherHosts {
		for n := range otherNetworks {
			fmt.Fprintf(&config, "\troute 2001:db9:%x:0:%x::/80 unreachable;\n", h, n+1)
		}
	}
	config.WriteString("}\n")
	return config.String()
}

// among measures what ndp6 does among many routes.
func (r *announcer) among() {
	const limit = 2 * time.Second
	r.network("prefix", "--subnet", "2001:db8:1000:a::/80", "-o", "ndp6.announce=prefix")
	r.network("single", "--subnet", "2001:db8:1000:b::/80", "-o", "ndp6.announce=endpoint")
	for range 3 {
		start := time.Now()
		e := r.web("e1", "single")
		started := time.Since(start)
		_, err := r.Router.Ping(r.ctx(), e.addr, limit)
		r.ok(err)
		r.Logf("docker run takes %s, and the router reaches the container %s later", started.Round(time.Millisecond), (time.Since(start) - started).Round(time.Millisecond))
		r.docker("rm", "-f", "e1")
	}
	start := time.Now()
	r.ok(r.host.StopPlugin(r.ctx(), "KILL"))
	r.startPlugin()
	took := time.Since(start)
	r.Logf("the plugin is killed and serves again after %s, limit %s", took.Round(time.Millisecond), limit)
	if took > limit {
		r.Errorf("after %s, want at most %s", took, limit)
	}
	r.Logf("the plugin has %.0f MB of memory", r.resident()/1e6)
	out, err := r.daemon.Ask(r.ctx(), "show memory")
	r.ok(err)
	r.Logf("the host's BIRD:\n%s", out)
}
