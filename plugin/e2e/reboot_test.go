package e2e_test

import (
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hostReboots cuts the power of the host. Its stores are all that is left.
func hostReboots(b *bed) {
	b.network("n", "--subnet", pool)
	f := b.newFleet("n")
	before := b.bridgesAndSysctls()
	b.ok(b.Reboot(b.ctx(), b.host))
	for _, c := range f.list() {
		if _, err := b.Router.Ping(b.ctx(), c.addr, 100*time.Millisecond); err == nil {
			b.Errorf("%s answers before anything was started", c.addr)
		}
	}
	start := time.Now()
	b.startPlugin()
	b.Logf("plugin ready in %s", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	b.startEngine(b.flags...)
	b.Logf("dockerd ready in %s", time.Since(start).Round(time.Millisecond))
	b.cameBack(f)
	if diff := cmp.Diff(before, b.bridgesAndSysctls()); diff != "" {
		b.Errorf("bridges and sysctls (-before +after the reboot):\n%s", diff)
	}
	b.docker("start", runsOnce)
	f.has[runsOnce] = b.inspect(runsOnce, "n")
	b.reach(b.Router, f.has[runsOnce], f.has[runsOnce].addr)
	b.hasOnly(f.list()...)
}

// hostSide begins the names of the host's links to containers.
const hostSide = "ndh-"

// bridgesAndSysctls are the lines of a snapshot that do not depend on which
// containers run.
func (b *bed) bridgesAndSysctls() []string {
	b.Helper()
	var lines []string
	bridges, err := b.host.Exec(b.ctx(), "sh", "-c", "cd /sys/class/net; ls -d */bridge")
	b.ok(err)
	for bridge := range strings.FieldsSeq(bridges) {
		lines = append(lines, "bridge "+strings.TrimSuffix(bridge, "/bridge"))
	}
	_, sysctls, _ := strings.Cut(b.snapshot(), "# sysctls\n")
	for line := range strings.Lines(sysctls) {
		if !strings.Contains(line, "/"+hostSide) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
