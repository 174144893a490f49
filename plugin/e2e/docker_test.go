package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// A scenario is tried on every engine, or on those that it names.
type scenario struct {
	name     string
	run      func(*bed)
	versions []string
	// once is set where the newest engine is enough: what it is about depends
	// on Docker's version little. NDP6_E2E_FULL tries it on all.
	once bool
}

func (s scenario) isFor(version string) bool {
	if s.once {
		return full || version == "28.5"
	}
	return s.versions == nil || slices.Contains(s.versions, version)
}

func scenarios() []scenario {
	return []scenario{
		{name: "basic", run: basic},
		{name: "status", run: statusShown},
		{name: "answering", run: answering},
		{name: "pool from the uplink", run: defaultPool},
		{name: "dual stack", run: dualStack},
		{name: "IPv6 only by option", run: onlyIPv6ByOption, versions: []string{"20.10", "26.1"}},
		{name: "IPv6 only", run: onlyIPv6, versions: []string{"28.5"}},
		{name: "internal", run: internal},
		{name: "chosen addresses", run: chosenAddresses},
		{name: "gateway range and aux address", run: gatewayRangeAux},
		{name: "connect and disconnect", run: connectDisconnect},
		{name: "two networks", run: twoNetworks},
		{name: "container restart", run: containerRestart},
		{name: "default IPAM", run: defaultIPAM},
		{name: "mtu", run: mtu},
		{name: "forward policy drop", run: forwardDrop},
		{name: "duplicate on the uplink", run: duplicateAddress},
		{name: "bad input", run: badInput},
		{name: "bad requests", run: badRequests},
		{name: "compose", run: compose, versions: []string{"26.1", "28.5"}},
		{name: "uplink moves", run: uplinkMoves},
		{name: "hundred containers", run: hundredContainers},
		{name: "prefix followed", run: followPrefix},
		{name: "doctor", run: doctor},
		{name: "managed plugin", run: managedPlugin, once: true},
		{name: "managed registry", run: managedRegistry, once: true},
		{name: "Dockerfile", run: dockerfile, versions: []string{"26.1"}},
	}
}

// outages are scenarios that wait more than they work.
func outages() []scenario {
	return []scenario{
		{name: "traffic goes on", run: trafficGoesOn},
		{name: "plugin killed", run: pluginKilled},
		{name: "plugin late", run: pluginLate},
		{name: "engine restarted", run: engineRestarted},
		{name: "host reboots", run: hostReboots},
		{name: "fast path goes on", run: fastPathGoesOn},
	}
}

// firewallScenarios are those of what reaches whom.
func firewallScenarios() []scenario {
	return []scenario{
		{name: "publishing", run: publishing},
		{name: "port conflicts", run: portConflicts, once: true},
		{name: "loopback from the wire", run: loopbackFromWire, once: true},
		{name: "port sweep", run: portSweep, once: true},
		{name: "inbound option", run: inboundOption, once: true},
		{name: "stale flow", run: staleFlow, once: true},
		{name: "window", run: window, once: true},
		{name: "window of the fast path", run: fastWindow, once: true},
		{name: "fast path", run: fastPath},
		{name: "neighbors", run: neighbors, once: true},
		{name: "networks", run: networks},
		{name: "Docker's bridge", run: dockerBridge},
		{name: "host access", run: hostAccess, once: true},
		{name: "impostor", run: impostor, once: true},
		{name: "flood", run: flood, once: true},
		{name: "killed while publishing", run: killedPublishing, once: true},
		{name: "coexist", run: coexist},
		{name: "ufw", run: ufw},
		{name: "legacy tables", run: legacy},
		{name: "firewalld", run: firewalld, versions: []string{"28.5"}},
	}
}

// TestDocker tries the scenarios on each Docker version, versions in parallel.
func TestDocker(t *testing.T) {
	t.Parallel()
	tryAll(t, scenarios(), nil)
}

// TestOutages tries what ends the plugin, dockerd and the host, beside TestDocker.
func TestOutages(t *testing.T) {
	t.Parallel()
	tryAll(t, outages(), nil)
}

// TestFirewall tries what reaches whom, with Dockers that all write IPv6 rules.
func TestFirewall(t *testing.T) {
	t.Parallel()
	tryAll(t, firewallScenarios(), (*bed).filterAsDocker)
}

// TestKinds tries what ndp6 makes by itself of each kind of host.
func TestKinds(t *testing.T) {
	t.Parallel()
	tryAll(t, kindScenarios(), publishedOnly)
}

// modeScenarios are those of networks that are not routed, and of addresses
// that change or must not.
func modeScenarios() []scenario {
	return []scenario{
		{name: "bad modes", run: badModes, once: true},
		{name: "nat", run: natted, once: true},
		{name: "nptv6", run: mapped, versions: newest},
		{name: "stable names", run: stableNames, versions: []string{"20.10", "28.5"}},
	}
}

// TestModes tries those, with only published ports open.
func TestModes(t *testing.T) {
	t.Parallel()
	tryAll(t, modeScenarios(), publishedOnly)
}

// TestRenumbering counts what fails of many requests, and so has the machine
// for itself: it is not parallel, and goes before all that are.
func TestRenumbering(t *testing.T) {
	tryAll(t, []scenario{{name: "under load", run: renumbering, versions: newest}}, publishedOnly)
}

// TestChurn kills the plugin every second, which leaves it little time beside
// other beds: it has the machine for itself, too.
func TestChurn(t *testing.T) {
	tryAll(t, []scenario{{name: "plugin killed under load", run: pluginKilledUnderLoad, once: true}}, nil)
}

// publishedOnly leaves networks as they are by default.
func publishedOnly(b *bed) { b.closed = true }

// filterAsDocker has Docker write IPv6 rules, and makes its first network with
// IPv6: it switches forwarding on then, and drops what it does not know.
func (b *bed) filterAsDocker() {
	b.Helper()
	b.closed = true
	if b.version == "26.1" {
		b.ok(b.host.StopEngine(b.ctx(), "TERM"))
		b.flags = []string{"--experimental", "--ip6tables"}
		b.startEngine(b.flags...)
	}
	b.docker("network", "create", "--ipv6", "--subnet", "fd00:e::/64", "first")
	// Chains that it makes for its first ports stay.
	b.docker("run", "--rm", "--network", "first", "-p", "8080:80", "-p", "127.0.0.1:8081:81", lab.Image, "true")
	b.docker("network", "rm", "first")
	b.run("iptables -P FORWARD DROP") // The lab forwards IPv4 before Docker could be the first to.
	// So does the link-local address of docker0.
	b.docker("run", "--rm", lab.Image, "true")
	b.eventually(func() error {
		out, err := b.host.Exec(b.ctx(), "ip", "-6", "addr", "show", "tentative")
		if err == nil && out != "" {
			err = fmt.Errorf("addresses are tentative:\n%s", out)
		}
		return err
	})
	b.before = b.snapshot()
}

// tryAll tries scenarios on a bed for each version, once it is ready for them.
func tryAll(t *testing.T, scenarios []scenario, ready func(*bed)) {
	t.Helper()
	binary := requirements(t)
	next := nextBuild(t.TempDir())
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			if !wanted(release.Docker) {
				t.Skip("not in NDP6_E2E_VERSIONS")
			}
			if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.isFor(release.Docker) }) {
				t.Skip("nothing to try on this version: set NDP6_E2E_FULL=1 for all")
			}
			t.Parallel()
			b := newBed(t, release, binary)
			b.next = next
			if ready != nil {
				ready(b)
			}
			for _, s := range scenarios {
				if !s.isFor(release.Docker) {
					continue
				}
				t.Run(s.name, func(t *testing.T) { b.try(t, s.run) })
			}
		})
	}
}

// requirements skips the test unless it was asked for, and returns the path of the plugin.
func requirements(t *testing.T) string {
	t.Helper()
	if os.Getenv("NDP6_E2E") != "1" {
		t.Skip("set NDP6_E2E=1 to run scenarios with real Docker engines, or run make test-e2e")
	}
	binary := os.Getenv("NDP6_BINARY")
	if binary == "" {
		binary = "../../bin/ndp6"
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return binary
}

func wanted(version string) bool {
	list := os.Getenv("NDP6_E2E_VERSIONS")
	return list == "" || slices.Contains(strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }), version)
}
