package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// pluginOnHost copies what `make plugin` built to the host, with another binary
// where one is given, and returns where it is.
func (b *bed) pluginOnHost(name, binary string) string {
	b.Helper()
	dir := filepath.Join(filepath.Dir(b.binary), "../build/plugin")
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		b.Skipf("%v: run make plugin", err)
	}
	onHost := filepath.Join("/run/ndp6-lab", name)
	b.ok(os.CopyFS(b.host.Path(onHost), os.DirFS(dir)))
	if binary != "" {
		data, err := os.ReadFile(binary)
		b.ok(err)
		b.ok(b.host.WriteFile(filepath.Join(onHost, "rootfs/usr/bin/ndp6"), data, 0o755))
	}
	return onHost
}

// managedPlugin installs what `make plugin` built, as `make install` does.
func managedPlugin(b *bed) {
	onHost := b.pluginOnHost("plugin", "")
	b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
	defer b.startPlugin()
	b.docker("plugin", "create", "ndp6-net", onHost)
	b.docker("plugin", "enable", "ndp6-net")
	defer b.docker("plugin", "rm", "ndp6-net")
	defer b.docker("plugin", "disable", "ndp6-net")

	b.network("n", "--subnet", pool)
	c := b.web("c1", "n")
	b.isMACAddress(c, pool)
	b.reach(b.Router, c, c.addr)
	b.reach(b.Outside, c, c.addr)
	if u := b.status().Uplinks; len(u) != 1 || u[0].Responder != plan.AnswerBPF {
		b.Errorf("uplinks %+v: the capabilities in config.json let the program run", u)
	}
	b.docker("rm", "-f", "c1")
	b.silent(b.Router, c.addr)
	b.docker("network", "rm", "n")

	// Under its own name, Docker knows who uses the plugin.
	b.docker("network", "create", "-d", "ndp6-net:latest", "--ipam-driver", "ndp6-net:latest", "--ipv6", "--subnet", pool, "-o", "ndp6.inbound=open", "m")
	c = b.web("c2", "m")
	b.reach(b.Outside, c, c.addr)
	b.refused([]string{"ndp6-net", "in use"}, "plugin", "disable", "ndp6-net")
	b.docker("rm", "-f", "c2")
	b.docker("network", "rm", "m")
}

// managedRegistry installs the managed plugin from a registry, and upgrades it
// from there below a running container, as docs/managed-plugin.md says.
func managedRegistry(b *bed) {
	next, err := b.next()
	b.ok(err)
	first, second := b.pluginOnHost("first", ""), b.pluginOnHost("second", next)
	b.ok(b.host.StartRegistry(b.ctx()))
	b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
	defer b.startPlugin()
	const remote = lab.Registry + "/ndp6-net:latest"
	push := func(dir string) {
		b.docker("plugin", "create", remote, dir)
		b.docker("plugin", "push", remote)
		b.docker("plugin", "rm", remote)
	}
	push(first)
	b.docker("plugin", "install", "--alias", "ndp6-net", "--grant-all-permissions", remote, "NDP6_LOG_LEVEL=debug")
	defer b.docker("plugin", "rm", "ndp6-net")
	defer b.docker("plugin", "disable", "ndp6-net")

	b.network("n", "--subnet", pool)
	c := b.echo("c1", "n")
	b.reach(b.Router, c, c.addr)
	id := b.docker("plugin", "inspect", "-f", "{{.Id}}", "ndp6-net")
	push(second)
	b.undisturbed("managed plugin upgraded", c, func() {
		b.docker("plugin", "disable", "-f", "ndp6-net")
		b.docker("plugin", "upgrade", "--grant-all-permissions", "ndp6-net")
		b.docker("plugin", "enable", "ndp6-net")
	})
	if again := b.docker("plugin", "inspect", "-f", "{{.Id}}", "ndp6-net"); again != id {
		b.Errorf("the plugin's id is %s, want %s as before", again, id)
	}
	if env := b.docker("plugin", "inspect", "-f", "{{.Settings.Env}}", "ndp6-net"); !strings.Contains(env, "NDP6_LOG_LEVEL=debug") {
		b.Errorf("settings after the upgrade: %s, want what install set", env)
	}
	binary := b.run("find /var/lib/docker/plugins/*/rootfs/usr/bin/ndp6 -printf %s")
	if size, err := os.Stat(next); err != nil || binary != fmt.Sprint(size.Size()) {
		b.Errorf("the binary has %s bytes, want those of the second, %v (%v)", binary, size, err)
	}
	d := b.web("d1", "n")
	b.reach(b.Outside, d, d.addr)
	b.exec(d, "ping", "-6", "-c1", "-W2", "c1")
	b.docker("rm", "-f", "c1", "d1")
	b.silent(b.Router, c.addr)
	b.docker("network", "rm", "n")
}
