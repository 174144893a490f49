package firewalld_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/ndp6/ndp6/netutil/nettest"
)

const service = "org.fedoraproject.FirewallD1"

// daemon is a real firewalld in the test's namespace, on a bus of its own, with
// configuration of its own. It sees an empty /run.
type daemon struct {
	config  string // what is /etc/firewalld elsewhere
	running *exec.Cmd
	output  bytes.Buffer
	bus     *dbus.Conn // the test's own
}

// The server of package python3-firewall is all there is to firewalld: package
// firewalld adds a unit, which starts by being installed, and settings.
const (
	python = "/usr/bin/python3" // Debian's: its packages are no others'
	server = `
import sys
from firewall import config
config.set_system_config_paths(sys.argv[1])
config.set_default_config_paths(sys.argv[2])
from firewall.core.logger import log
log.setDateFormat("%Y-%m-%d %H:%M:%S")
log.setFormat("%(date)s %(label)s%(message)s")
log.setInfoLogging("*", log.stdout)
from firewall.server import server
server.run_server()
`
)

// What firewalld does by default: links that were put into a zone at run time
// alone leave it with a reload.
const flushOnReload = "yes"

// Zones without which firewalld does not start, as it brings them.
var shipped = map[string]string{
	"block":   `<zone target="%%REJECT%%"><short>Block</short></zone>`,
	"drop":    `<zone target="DROP"><short>Drop</short></zone>`,
	"public":  `<zone><short>Public</short></zone>`,
	"trusted": `<zone target="ACCEPT"><short>Trusted</short></zone>`,
}

const busConfig = `<busconfig>
<listen>unix:path=SOCKET</listen>
<auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy>
</busconfig>
`

// startBus enters a namespace and starts a bus, which DBUS_SYSTEM_BUS_ADDRESS
// then names.
func startBus(t *testing.T) {
	t.Helper()
	nettest.Enter(t)
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		nettest.Unavailable(t, "package dbus-daemon is missing: "+err.Error())
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "bus")
	write(t, filepath.Join(dir, "bus.conf"), strings.ReplaceAll(busConfig, "SOCKET", socket))
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+filepath.Join(dir, "bus.conf"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	eventually(t, "the bus is there", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
}

// start starts a bus and firewalld.
func start(t *testing.T) *daemon {
	t.Helper()
	startBus(t)
	if out, err := exec.Command(python, "-c", "import firewall.server.server, nftables").CombinedOutput(); err != nil {
		nettest.Unavailable(t, "package python3-firewall or python3-nftables is missing: "+string(out))
	}
	d := &daemon{config: t.TempDir()}
	write(t, filepath.Join(d.config, "etc", "firewalld.conf"), "DefaultZone=public\nFlushAllOnReload="+flushOnReload+"\n")
	for name, zone := range shipped {
		write(t, filepath.Join(d.config, "shipped", "zones", name+".xml"), zone)
	}
	for _, k := range []string{"zones", "policies", "services", "icmptypes", "ipsets", "helpers"} {
		for _, from := range []string{"shipped", "etc"} {
			if err := os.MkdirAll(filepath.Join(d.config, from, k), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	d.bus = bus
	d.run(t)
	t.Cleanup(func() {
		if d.running != nil {
			stop(d.running)
		}
		bus.Close()
		if t.Failed() {
			t.Logf("firewalld:\n%s", d.output.String())
		}
	})
	return d
}

// run runs firewalld and waits until it answers.
func (d *daemon) run(t *testing.T) {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run && exec "$@"`, "sh",
		python, "-c", server, filepath.Join(d.config, "etc"), filepath.Join(d.config, "shipped"))
	cmd.Stdout, cmd.Stderr = &d.output, &d.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.running = cmd
	eventually(t, "firewalld answers", func() bool {
		return d.bus.Object(service, "/org/fedoraproject/FirewallD1").Call(service+".getDefaultZone", dbus.FlagNoAutoStart).Err == nil
	})
}

// stop stops firewalld.
func (d *daemon) stop() {
	stop(d.running)
	d.running = nil
}

// call calls a method of firewalld itself.
func (d *daemon) call(t *testing.T, method string, args ...any) *dbus.Call {
	t.Helper()
	path := dbus.ObjectPath("/org/fedoraproject/FirewallD1")
	if strings.HasPrefix(method, "config.") {
		path += "/config"
	}
	call := d.bus.Object(service, path).Call(service+"."+method, 0, args...)
	if call.Err != nil {
		t.Fatalf("%s %v: %v", method, args, call.Err)
	}
	return call
}

// list returns the sorted names that a method returns.
func (d *daemon) list(t *testing.T, method string, args ...any) []string {
	t.Helper()
	var names []string
	if err := d.call(t, method, args...).Store(&names); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// stop ends a process that start started.
func stop(cmd *exec.Cmd) {
	const patience = 10 * time.Second
	cmd.Process.Signal(syscall.SIGTERM)                             //nolint:errcheck // it may have ended.
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended.
	defer kill.Stop()
	cmd.Wait() //nolint:errcheck // how it ended does not matter.
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in a minute: %s", what)
		case <-tick.C:
		}
	}
}
