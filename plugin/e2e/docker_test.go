package e2e_test

import (
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
}

func scenarios() []scenario {
	return []scenario{
		{name: "basic", run: basic},
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
		{name: "compose", run: compose, versions: []string{"28.5"}},
		{name: "uplink moves", run: uplinkMoves},
		{name: "hundred containers", run: hundredContainers},
		{name: "plugin killed under load", run: pluginKilledUnderLoad},
		{name: "managed plugin", run: managedPlugin, versions: []string{"28.5"}},
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
	}
}

// TestDocker tries the scenarios on each Docker version, versions in parallel.
func TestDocker(t *testing.T) {
	t.Parallel()
	tryAll(t, scenarios())
}

// TestOutages tries what ends the plugin, dockerd and the host, beside TestDocker.
func TestOutages(t *testing.T) {
	t.Parallel()
	tryAll(t, outages())
}

func tryAll(t *testing.T, scenarios []scenario) {
	t.Helper()
	binary := requirements(t)
	next := nextBuild(t.TempDir())
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			if !wanted(release.Docker) {
				t.Skip("not in NDP6_E2E_VERSIONS")
			}
			t.Parallel()
			b := newBed(t, release, binary)
			b.next = next
			for _, s := range scenarios {
				if s.versions != nil && !slices.Contains(s.versions, release.Docker) {
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
