package e2e_test

import (
	"fmt"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// fastPathOptions are those of networks whose published ports are forwarded for
// in front of the kernel.
const fastPathOptions = "-o ndp6.datapath=bpf -o ndp6.host_publish=off -o ndp6.inbound=published"

// fastPath has published ports forwarded for in front of the kernel, and all
// else as closed as it is there.
func fastPath(b *bed) {
	b.refused([]string{"ndp6.datapath", "ndp6.host_publish=off"},
		"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "-o", "ndp6.datapath=bpf", "bad")
	b.network("n", strings.Fields("--subnet "+pool+" "+fastPathOptions)...)
	b.network("o", strings.Fields("--subnet 2001:db8:1:0:b::/80 "+fastPathOptions)...)
	p := b.newPlaces()
	p.start("mate", "n", nil)
	p.start("cousin", "o", nil)
	p.start("c1", "n", served, "-p", "8080:80", "-p", "8080:53/udp")
	const sides = `
		outside c1:80 open
		outside c1:53/udp open
		neighbor c1:80 open
		outside c1:81 silent
		outside c1:54/udp silent
		outside c1:8080 silent
		outside host:8080 refused
		outside host.4:8080 open
		host c1:80 served
		host c1:81 served
		mate c1:80 open
		mate c1:81 open
		cousin c1:80 open
		cousin c1:81 silent
	`
	entered, left := b.forwarded()
	p.want("published", sides)
	if e, l := b.forwarded(); e == entered || l == left {
		b.Errorf("the fast path forwarded %d packets to containers and %d from them, as before", e, l)
	}
	for _, n := range b.status().Networks {
		if n.Datapath != "bpf" {
			b.Errorf("status of %s: datapath %q", n.Bridge, n.Datapath)
		}
	}
	// The answers of a container on two networks may leave by either. Docker
	// publishes at that whose name comes first.
	b.docker("network", "connect", "o", "c1")
	p.want("on two networks", sides)
	entered, _ = b.forwarded()
	p.want("by the kernel", "outside c1:80 open")
	if e, _ := b.forwarded(); e != entered {
		b.Error("the fast path forwards to a container that answers by another network")
	}
	b.docker("network", "disconnect", "o", "c1")
	p.want("on one again", sides)
	if e, _ := b.forwarded(); e == entered {
		b.Error("the fast path forwards nothing to a container that is on one network again")
	}
	b.docker("rm", "-f", "c1")
	p.want("after the container went", "outside c1:80 silent")
	b.docker("rm", "-f", "mate", "cousin")
	b.docker("network", "rm", "n", "o")
	if out, err := b.host.Exec(b.ctx(), "sh", "-c", "tc filter show dev eth0 ingress"); err != nil || strings.Contains(out, "ndp6_fast") {
		b.Errorf("left on the uplink: %s %v", out, err)
	}
}

// fastPathGoesOn wants a stream through the fast path to see nothing of what
// happens to the plugin and to dockerd.
func fastPathGoesOn(b *bed) {
	defer b.liveRestore()()
	next, err := b.next()
	b.ok(err)
	b.network("n", strings.Fields("--subnet "+pool+" "+fastPathOptions)...)
	c := b.echo("e1", "n", "-p", fmt.Sprintf("%d:%d", lab.EchoPort, lab.EchoPort))
	b.undisturbed("plugin killed and started", c, func() {
		b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
		b.startPlugin()
	})
	if entered, left := b.forwarded(); entered == 0 || left == 0 {
		b.Errorf("a new plugin's fast path forwarded %d packets to the container and %d from it", entered, left)
	}
	b.undisturbed("plugin upgraded", c, func() {
		b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
		b.binary = next
		b.startPlugin()
	})
	b.undisturbed("dockerd restarted with live-restore", c, func() {
		b.ok(b.host.StopEngine(b.ctx(), "TERM"))
		b.startEngine(b.flags...)
	})
	b.undisturbed("filter taken off the uplink", c, func() {
		_, err := b.host.Exec(b.ctx(), "sh", "-c", "tc filter del dev eth0 ingress pref 7")
		b.ok(err)
		b.eventually(func() error {
			out, err := b.host.Exec(b.ctx(), "sh", "-c", "tc filter show dev eth0 ingress")
			if err == nil && !strings.Contains(out, "ndp6_fast") {
				err = fmt.Errorf("not put back: %s", out)
			}
			return err
		})
	})
	b.docker("rm", "-f", "e1")
}

// forwarded is how many packets the fast path forwarded to containers and from
// them, since the plugin started.
func (b *bed) forwarded() (entered, left int) {
	b.Helper()
	var err error
	entered, err = b.counted(`ndp6_fastpath_packets_total\{direction="entered"\}`)
	b.ok(err)
	left, err = b.counted(`ndp6_fastpath_packets_total\{direction="left"\}`)
	b.ok(err)
	return entered, left
}
