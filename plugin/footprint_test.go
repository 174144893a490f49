package plugin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/ndp6/ndp6/netutil/nettest"
)

// What the process may take of a host, in bytes.
const (
	sizePromise   = 16e6 // of the binary
	idlePromise   = 30e6 // of memory, without a network
	loadedPromise = 60e6 // with a thousand endpoints
)

func TestSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the command")
	}
	path := filepath.Join(t.TempDir(), "ndp6")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/ndp6")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", info.Size())
	if info.Size() > sizePromise {
		t.Errorf("the binary has %d bytes, want %g at most", info.Size(), sizePromise)
	}
}

// TestMemory is about a process that has just made the host as it should be:
// it needs the most then.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a thousand endpoints")
	}
	nettest.Enter(t)
	nettest.Run(t,
		"ip link add eth0 type veth peer name lan0", "ip link set lan0 up", "ip link set eth0 up",
		"ip addr add fe80::5/64 dev eth0 nodad", "ip addr add 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route add default via fe80::9 dev eth0",
	)
	for _, test := range []struct {
		endpoints int
		promise   float64
	}{{0, idlePromise}, {portsOfBridge, loadedPromise}} {
		dir := t.TempDir()
		if test.endpoints > 0 {
			endpoints := record(t, dir, test.endpoints)
			_, stop := start(t, dir)
			stop()
			attach(t, endpoints)
		}
		_, stop := start(t, dir)
		got := resident(t, dir)
		stop()
		t.Logf("%d endpoints: %.1f MB", test.endpoints, got/1e6)
		if got > test.promise {
			t.Errorf("with %d endpoints the process has %.1f MB of memory, want %g at most", test.endpoints, got/1e6, test.promise/1e6)
		}
	}
}

// resident is how much memory the plugin with this directory says that it has.
func resident(t *testing.T, dir string) float64 {
	t.Helper()
	text := get(t, client(filepath.Join(dir, "admin.sock")), "http://ndp6/metrics")
	m := regexp.MustCompile(`(?m)^ndp6_resident_memory_bytes (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no memory in\n%.500s", text)
	}
	bytes, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
