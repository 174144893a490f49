package fault_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/store"
)

// Each call is one transaction, and none on the path of docker run and docker
// stop is on state.db, which waits for the disk. CreateNetwork also notes each
// sysctl before it changes it, and the uplink, in the file that does not wait.
func TestCommits(t *testing.T) {
	b := newBed(t)
	p := b.start(t)
	defer p.end()
	id, err := store.BootID()
	if err != nil {
		t.Fatal(err)
	}
	boot := "boot-" + id + ".db"
	var got strings.Builder
	d := &docker{tb: t, host: b.host, sandbox: b.sandbox, post: func(method, body string) (int, string) {
		lasting, volatile := commits(t, b.dir, "state.db"), commits(t, b.dir, boot)
		status, answer := p.post(method, body)
		fmt.Fprintf(&got, "%s %d %d\n", method, commits(t, b.dir, "state.db")-lasting, commits(t, b.dir, boot)-volatile)
		return status, answer
	}}
	if err := d.createNetwork(); err != nil {
		t.Fatal(err)
	}
	got.WriteString("run\n")
	if err := d.run(); err != nil {
		t.Fatal(err)
	}
	got.WriteString("stop\n")
	d.stop()
	got.WriteString("network rm\n")
	d.removeNetwork()
	want := strings.TrimPrefix(`
IpamDriver.RequestPool 1 0
IpamDriver.RequestAddress 1 0
IpamDriver.RequestPool 1 0
NetworkDriver.CreateNetwork 1 6
run
IpamDriver.RequestAddress 0 1
IpamDriver.RequestAddress 0 1
NetworkDriver.CreateEndpoint 0 1
NetworkDriver.Join 0 1
NetworkDriver.ProgramExternalConnectivity 0 1
NetworkDriver.EndpointOperInfo 0 0
stop
NetworkDriver.RevokeExternalConnectivity 0 1
NetworkDriver.Leave 0 1
NetworkDriver.DeleteEndpoint 0 1
IpamDriver.ReleaseAddress 0 1
IpamDriver.ReleaseAddress 0 1
network rm
IpamDriver.ReleaseAddress 1 0
IpamDriver.ReleasePool 1 0
IpamDriver.ReleaseAddress 0 0
IpamDriver.ReleasePool 1 0
NetworkDriver.DeleteNetwork 1 5
`, "\n")
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("transactions of each call, on state.db and on the boot file (-want +got):\n%s", diff)
	}
}

// commits returns the number of transactions that a file of the store ever
// had, as its two heads say.
func commits(t *testing.T, dir, name string) uint64 {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var newest uint64
	for _, page := range []int64{0, 1} {
		var id [8]byte
		if _, err := f.ReadAt(id[:], page*int64(os.Getpagesize())+64); err != nil {
			t.Fatal(err)
		}
		newest = max(newest, binary.NativeEndian.Uint64(id[:]))
	}
	return newest
}
