package plugin_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

// fillAt makes the test binary fill the etcd at that URL, from the namespace
// that the process is in.
const fillAt = "NDP6_TEST_FILL_AT"

const (
	manyPeers   = 1000
	blocksEach  = 10
	peerPromise = 60e6 // of memory
)

var manyBase = netip.MustParsePrefix("2001:db8:8000::/48")

func fill(url string) error {
	client, err := etcd.New(etcd.Config{Endpoints: []string{url}})
	if err != nil {
		return err
	}
	defer client.Close()
	return etcdtest.Fill(context.Background(), client, manyBase, manyPeers, blocksEach, netip.MustParseAddr("2001:db8::9"))
}

// TestManyPeers is about a plugin that learns of a thousand hosts at once.
func TestManyPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a thousand hosts")
	}
	c := newCluster(t, 1)
	h := c.hosts[0]
	alone := resident(t, h.dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h.kill()
	filling := exec.Command(self)
	filling.Env = append(os.Environ(), fillAt+"="+c.etcd.URL)
	if out, err := filling.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	begin := time.Now()
	h.start()
	ready := time.Since(begin)
	want := 0
	for i := range manyPeers {
		var blocks []netip.Prefix
		for j := range blocksEach {
			blocks = append(blocks, inet.Subnet(manyBase, 80, uint64(1+i*blocksEach+j)))
		}
		want += len(inet.Merge(blocks))
	}
	routes := func() int { return strings.Count(h.routes(), " via ") }
	for routes() != want {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d routes, want %d", routes(), want)
		}
	}
	t.Logf("ready after %s, %d routes to %d blocks after %s", ready, want, manyPeers*blocksEach, time.Since(begin))
	used := resident(t, h.dir)
	t.Logf("%.1f MB of memory, %.1f MB without peers", used/1e6, alone/1e6)
	if used > peerPromise {
		t.Errorf("%.1f MB of memory, want %.0f at most", used/1e6, peerPromise/1e6)
	}
	begin = time.Now()
	h.kill()
	h.start()
	t.Logf("ready again after %s", time.Since(begin))
	if got := routes(); got != want {
		t.Errorf("%d routes after a restart", got)
	}
}
