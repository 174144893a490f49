package e2e_test

import (
	"os"
	"path/filepath"
)

// managedPlugin installs what `make plugin` built, as `make install` does.
func managedPlugin(b *bed) {
	dir := filepath.Join(filepath.Dir(b.binary), "../build/plugin")
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		b.Skipf("%v: run make plugin", err)
	}
	const onHost = "/run/ndp6-lab/plugin"
	b.ok(os.CopyFS(b.host.Path(onHost), os.DirFS(dir)))
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
	b.docker("rm", "-f", "c1")
	b.silent(b.Router, c.addr)
	b.docker("network", "rm", "n")
}
