package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	findings "github.com/ndp6/ndp6/plugin/doctor"
)

// doctor finds nothing on a host where all is well, and on one that was broken
// what was done to it; a trace says where a packet ends.
func doctor(b *bed) {
	command, err := b.host.Install(b.binary)
	b.ok(err)
	codes := func() []findings.Code {
		b.Helper()
		var r findings.Report
		b.ok(json.Unmarshal([]byte(b.run(command+" doctor --json || test $? = 2")), &r))
		var out []findings.Code
		for _, f := range r.Findings {
			if f.Severity != findings.Note && f.Code != findings.NamesSilent { // The lab has no names.
				out = append(out, f.Code)
			}
		}
		for _, u := range r.Unseen {
			b.Errorf("not seen: %s", u)
		}
		return out
	}
	want := func(when string, want ...findings.Code) {
		b.Helper()
		b.eventually(func() error {
			if got := codes(); !slices.Equal(got, want) {
				return fmt.Errorf("%s: findings %v, want %v\n%s", when, got, want, b.run(command+" doctor || true"))
			}
			return nil
		})
	}
	want("no network")
	b.network("n", "--subnet", pool, "-o", "ndp6.inbound=published")
	c := b.web("c1", "n", "-p", "8080:80")
	want("a container")
	b.reach(b.Outside, c, c.addr)

	trace := func(port uint16) string {
		b.Helper()
		return b.run(fmt.Sprintf("%s doctor trace '%s' >/tmp/trace; code=$?; cat /tmp/trace; echo exit $code", command, netip.AddrPortFrom(c.addr, port)))
	}
	for port, word := range map[uint16]string{80: "exit 0", 81: "exit 2"} {
		if out := trace(port); !strings.HasSuffix(strings.TrimSpace(out), word) {
			b.Errorf("trace of port %d, want %s:\n%s", port, word, out)
		}
	}

	b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
	b.run("ip -6 neigh del proxy " + c.addr.String() + " dev eth0")
	_, err = b.Router.Exec(b.ctx(), "ip", "-6", "neigh", "flush", "to", c.addr.String())
	b.ok(err)
	broken := codes()
	b.startPlugin()
	missing := []findings.Code{findings.DaemonDown, findings.ProxyMissing}
	if responderOn(b.version) == plan.AnswerKernel {
		missing = append(missing, findings.ProxySilent) // A program goes on.
	}
	if diff := cmp.Diff(missing, broken); diff != "" {
		b.Errorf("plugin killed, and a proxy entry gone (-want +got):\n%s", diff)
	}
	want("started again")
	b.reach(b.Outside, c, c.addr)
}
