package fault_test

import (
	"testing"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestWalkRestart breaks and kills a process at every operation of its start,
// on a host where somebody undid or left about everything.
func TestWalkRestart(t *testing.T) {
	points := 0
	everyWalk(t, func(t *testing.T, b *bed, f fault, stride int) {
		t.Helper()
		p := b.start(t)
		defer func() { p.end() }()
		d := &docker{tb: t, host: b.host, sandbox: b.sandbox, post: func(method, body string) (int, string) { return p.post(method, body) }}
		if err := d.createNetwork(); err != nil {
			t.Fatal(err)
		}
		if err := d.run(); err != nil {
			t.Fatal(err)
		}
		serving := settled(t)
		for at := 1; !t.Failed(); at += stride {
			p.end()
			b.damage(t, d)
			broken := b.newProcess(t)
			broken.faults.arm(f, at)
			broken.live()
			broken.end()
			p = b.start(t)
			hit := broken.faults.struck()
			p.check(t, d, "after "+hit)
			if diff := differs(t, serving); diff != "" {
				t.Errorf("host after %s (-before +after):\n%s", hit, diff)
			}
			if hit == "" {
				break
			}
			points++
		}
		d.stop()
		d.removeNetwork()
		p.check(t, d, "after network rm")
		if diff := differs(t, b.before); diff != "" {
			t.Errorf("host (-before +after):\n%s", diff)
		}
	})
	t.Logf("%d fault points walked", points)
}

// live serves until the process is killed.
func (p *process) live() {
	defer func() {
		if r := recover(); r != nil && !p.faults.killed() {
			panic(r)
		}
	}()
	p.serve()
}

// damage undoes what the process did, and leaves what looks like its own.
func (b *bed) damage(t *testing.T, d *docker) {
	t.Helper()
	bridge := "nd-" + d.network[:12]
	if b.answering == plan.AnswerBPF {
		nettest.Run(t, "tc qdisc del dev eth0 clsact")
	}
	nettest.Run(t,
		"ip -6 neigh flush proxy",
		"nft flush ruleset",
		"sysctl -q -w net.ipv6.conf.all.proxy_ndp=0 net.ipv6.conf.eth0.proxy_ndp=0 net.ipv6.neigh.eth0.proxy_delay=80",
		"ip link set "+bridge+" down",
		"ip -6 addr flush dev "+bridge,
		"ip -6 neigh add proxy 2001:db8::a:0:0:9 dev eth0 proto 166",
		"ip link add nd-old type bridge", "ip link set nd-old alias ndp6:network:old",
	)
}
