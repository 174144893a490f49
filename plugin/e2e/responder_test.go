package e2e_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// answering wants the responder of the bed to be what answers. Where that is a
// program, it answers while the plugin is dead, and is back when somebody
// removed it.
func answering(b *bed) {
	b.network("n", "--subnet", pool)
	c := b.web("c1", "n")
	by := b.answers()
	if by == plan.AnswerKernel {
		if filters := b.run("tc filter show dev eth0 ingress"); filters != "" {
			b.Errorf("the kernel answers, and there are filters:\n%s", filters)
		}
		return
	}
	reached := func(when string) {
		b.Helper()
		b.ok(b.neighbor.IP(b.ctx(), "neigh flush dev eth0"))
		if took, err := b.neighbor.Ping(b.ctx(), c.addr, 3*time.Second); err != nil {
			b.Errorf("%s: %v", when, err)
		} else {
			b.Logf("%s: first answer after %s", when, took.Round(10*time.Microsecond))
		}
		if got, err := b.host.Sysctl("net/ipv6/conf/all/proxy_ndp"); err != nil || got != "0" {
			b.Errorf("%s: all.proxy_ndp is %q, %v, want 0", when, got, err)
		}
	}
	reached("as it should be")
	b.run("tc qdisc del dev eth0 clsact")
	b.eventually(func() error {
		if filters := b.run("tc filter show dev eth0 ingress"); !strings.Contains(filters, "ndp6") {
			return fmt.Errorf("the filter is not back: %q", filters)
		}
		return nil
	})
	reached("after it was removed")
	b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
	reached("while the plugin is dead")
	b.startPlugin()
	reached("with the next plugin")
}

// answers is what answers on the uplink. It must be what the bed has it be.
func (b *bed) answers() plan.Answering {
	b.Helper()
	s := b.status()
	want := responderOn(b.version)
	if want == plan.AnswerAuto {
		want = plan.AnswerBPF // as the kernel of these tests lets it
	}
	if len(s.Uplinks) != 1 || s.Uplinks[0].Name != "eth0" || s.Uplinks[0].Responder != want {
		b.Fatalf("uplinks %+v, want eth0, on which %s answers", s.Uplinks, want)
	}
	if s.Uplinks[0].Reason == "" {
		b.Error("no reason is given")
	}
	return want
}
