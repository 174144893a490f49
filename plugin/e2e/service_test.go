package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	findings "github.com/ndp6/ndp6/plugin/doctor"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestService has the Debian package on a host that systemd runs: installed,
// used, upgraded below running containers, removed and purged.
func TestService(t *testing.T) {
	t.Parallel()
	requirements(t)
	release := lab.Releases()[slices.IndexFunc(lab.Releases(), func(r lab.Release) bool { return r.Docker == "28.5" })]
	if !wanted(release.Docker) {
		t.Skip("not in NDP6_E2E_VERSIONS")
	}
	dir := t.TempDir()
	first, second := buildPackage(t, dir, "1.0.0"), buildPackage(t, dir, "1.0.1")
	root, l := newLab(t, release)
	b := &bed{T: t, Lab: l, version: release.Docker, root: root}
	var err error
	if b.host, err = l.AddSystem(t.Context(), hostNumber, root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service's log:\n%s", b.host.Journal(context.WithoutCancel(t.Context()), "ndp6", 40))
		}
	})
	bare := b.files()

	b.install(first)
	if got := b.run("systemctl is-enabled ndp6.socket ndp6.service"); got != "enabled\nenabled\n" {
		t.Errorf("after install units are %s, want both enabled", got)
	}
	b.active("ndp6.socket ndp6.service")
	if got := b.run("ndp6 version"); !strings.HasPrefix(got, "ndp6 ") {
		t.Errorf("ndp6 version: %s", got)
	}
	b.run("systemd-analyze verify --man=no ndp6.service ndp6.socket && systemd-analyze security --threshold=30 ndp6.service")
	b.run("test -s /usr/share/man/man1/ndp6-serve.1.gz && test -s /usr/share/bash-completion/completions/ndp6")

	b.ok(b.host.StartEngineService(b.ctx()))
	before := b.run("ip -o link; ip -6 route; nft list tables; ls /run/sysctl.d")
	// For these tables ndp6 runs a command, which takes a lock in /run.
	b.run("iptables-legacy -P FORWARD DROP && ip6tables-legacy -P FORWARD DROP")
	b.network("web", "--subnet", pool, "-o", "ndp6.stable=name")
	c := b.echo("www", "web", "-p", "80:80")
	b.reach(b.Outside, c, c.addr)
	b.eventually(func() error { // Entering a sandbox takes a capability, and Docker's mounts.
		if out := b.run("ndp6 status"); !strings.Contains(out, "stable") {
			return fmt.Errorf("no stable address:\n%s", out)
		}
		return nil
	})
	if out := b.run("ndp6 status"); !strings.Contains(out, "uplink eth0: bpf answers") {
		t.Errorf("the unit does not let the program run:\n%s", out)
	}
	if got := b.run("ip neigh show proxy"); !strings.Contains(got, "proto ndp6") {
		t.Errorf("proxy entries: %s, want the protocol's name", got)
	}

	pid := b.run("systemctl show -P MainPID ndp6")
	b.undisturbed("package upgraded", c, func() { b.install(second) })
	if again := b.run("systemctl show -P MainPID ndp6"); again == pid {
		t.Error("the old process still runs after the upgrade")
	}
	b.active("ndp6.socket ndp6.service")
	b.run("systemctl stop ndp6.service")
	d := b.web("d1", "web") // Docker's call starts it.
	b.active("ndp6.service")
	b.reach(b.Outside, d, d.addr)
	b.docker("rm", "-f", "d1")
	b.undisturbed("process hangs", c, b.hangs)
	b.sysctlsStay(c)

	b.undisturbed("package removed", c, func() {
		if _, err := b.host.Exec(b.ctx(), "dpkg", "--remove", "ndp6"); err != nil {
			t.Error(err)
		}
	})
	b.run("test -s /var/lib/ndp6/state.db && test -e /etc/default/ndp6")
	b.install(second)
	b.mended()
	b.docker("rm", "-f", "www")
	b.docker("network", "rm", "web")
	b.lessCapable()
	b.run("iptables-legacy -P FORWARD ACCEPT && ip6tables-legacy -P FORWARD ACCEPT")
	b.eventually(func() error {
		if diff := cmp.Diff(before, b.run("ip -o link; ip -6 route; nft list tables; ls /run/sysctl.d")); diff != "" {
			return fmt.Errorf("left of the network (-want +got):\n%s", diff)
		}
		return nil
	})

	b.run("systemctl stop docker.service docker.socket && dpkg --purge ndp6")
	if diff := cmp.Diff(bare, b.files()); diff != "" {
		t.Errorf("files after purge (-before +after):\n%s", diff)
	}
}

// buildPackage builds the Debian package of a version, and returns its path.
func buildPackage(t *testing.T, dir, version string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "deb", "VERSION="+version, "OUT="+dir)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=") // of the make that runs the tests
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	return filepath.Join(dir, "ndp6_"+version+"_"+runtime.GOARCH+".deb")
}

// install has dpkg install or upgrade to a package.
func (b *bed) install(deb string) {
	b.Helper()
	data, err := os.ReadFile(deb)
	b.ok(err)
	b.ok(b.host.WriteFile("/run/ndp6-lab/package.deb", data, 0o644))
	b.run("dpkg --install /run/ndp6-lab/package.deb")
}

// active wants units to run, without restarts behind them.
func (b *bed) active(units string) {
	b.Helper()
	b.eventually(func() error {
		out, err := b.host.Exec(b.ctx(), append([]string{"systemctl", "is-active"}, strings.Fields(units)...)...)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", units, out, err)
		}
		return nil
	})
	if got := strings.TrimSpace(b.run("systemctl show -P NRestarts ndp6")); got != "0" {
		b.Errorf("systemd restarted ndp6 %s times", got)
	}
}

// dropIn changes the service's unit until undo.
func (b *bed) dropIn(lines ...string) (undo func()) {
	b.Helper()
	const file = "/run/systemd/system/ndp6.service.d/lab.conf"
	b.ok(b.host.WriteFile(file, []byte("[Service]\n"+strings.Join(lines, "\n")+"\n"), 0o644))
	b.run("systemctl daemon-reload && systemctl restart ndp6")
	return func() {
		b.run("rm -r /run/systemd/system/ndp6.service.d && systemctl daemon-reload && systemctl restart ndp6")
	}
}

// hangs has systemd replace a process that does nothing any more.
func (b *bed) hangs() {
	b.Helper()
	defer b.dropIn("WatchdogSec=2s", "TimeoutAbortSec=1s")()
	pid := b.run("systemctl show -P MainPID ndp6")
	b.run("kill -STOP " + pid)
	b.eventually(func() error {
		if got := b.run("systemctl show -P NRestarts ndp6"); strings.TrimSpace(got) == "0" {
			return errors.New("the process hangs, and systemd has not restarted it")
		}
		_, err := b.host.Exec(b.ctx(), "systemctl", "is-active", "ndp6")
		return err
	})
	b.run("systemctl reset-failed ndp6")
}

// lessCapable takes from the service what docs/service.md says it can do without.
func (b *bed) lessCapable() {
	b.Helper()
	defer b.dropIn("CapabilityBoundingSet=~CAP_SYS_ADMIN")()
	b.refused([]string{"ndp6.stable", "CAP_SYS_ADMIN"}, "network", "create", "-d", "ndp6", "--ipv6", "--subnet", pool, "-o", "ndp6.stable=name", "bad")
	b.network("plain", "--subnet", pool)
	c := b.web("d1", "plain", "-p", "443:80")
	b.reach(b.Outside, c, c.addr)
	b.docker("rm", "-f", "d1")
	b.docker("network", "rm", "plain")
}

// mended stops what systemd runs, and does what the doctor says about it.
func (b *bed) mended() {
	b.Helper()
	examine := func() (r findings.Report) {
		b.Helper()
		b.ok(json.Unmarshal([]byte(b.run("ndp6 doctor --json || test $? = 2")), &r))
		return r
	}
	for _, broken := range []struct {
		command string
		want    findings.Code
	}{
		{"systemctl stop ndp6.socket ndp6.service", findings.DaemonDown},
		{"rm /run/docker/plugins/ndp6.sock", findings.SocketMissing},
		{"systemctl stop docker.service docker.socket", findings.DockerAbsent},
	} {
		b.run(broken.command)
		r := examine()
		if len(r.Findings) == 0 || r.Findings[0].Code != broken.want || len(r.Findings[0].Fix) == 0 {
			b.Errorf("%s: first of %+v is not %s with a fix", broken.command, r.Findings, broken.want)
			continue
		}
		for _, command := range r.Findings[0].Fix {
			b.run(command)
		}
		b.eventually(func() error {
			if r := examine(); slices.ContainsFunc(r.Findings, func(f findings.Finding) bool { return f.Code == broken.want }) {
				return fmt.Errorf("%s: still there after its fix: %+v", broken.command, r.Findings)
			}
			return nil
		})
	}
	b.active("ndp6.socket ndp6.service")
}

// sysctlsStay applies a file that forbids forwarding, with ndp6 down, and wants
// the container to be reached all the same.
func (b *bed) sysctlsStay(c container) {
	b.Helper()
	b.run("systemctl stop ndp6.socket ndp6.service && mkdir -p /etc/sysctl.d && echo net.ipv6.conf.all.forwarding=0 >/etc/sysctl.d/50-hard.conf")
	// Not --system: of what Debian's own files set, some is the machine's.
	b.run("cat /etc/sysctl.d/50-hard.conf /run/sysctl.d/zz-ndp6.conf >/run/all.conf; sysctl -e -p /run/all.conf; rm /etc/sysctl.d/50-hard.conf")
	b.reach(b.Router, c, c.addr)
	b.run("systemctl start ndp6.socket ndp6.service")
}

// files are those of the host's that a package could leave.
func (b *bed) files() string {
	b.Helper()
	return b.run(`for dir in /etc /usr /var/lib /var/cache /run; do
		find $dir -xdev \( -name '*ndp6*' -o -path '*/systemd/*' \) ! -path '/run/ndp6-lab*' ! -path '/run/systemd/*'
	done | sort`)
}
