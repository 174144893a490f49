package fault_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	ipamapi "github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of that size at dir, for the test's thread alone.
func mountSmall(t *testing.T, dir, size string) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with its mounts
	for _, err := range []error{
		unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("ndp6-test", dir, "tmpfs", 0, "size="+size),
	} {
		if err != nil {
			t.Fatalf("mount a small file system: %v", err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small file system: %v", err)
		}
	})
}

// fill writes to a file in dir until nothing fits any more.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); err == nil {
		t.Fatal("the disk does not fill")
	}
	f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// On a full disk a call that records something fails, says why, and changes
// nothing. bbolt still has some room in its file, so each is made until the
// first that fails, with names that take room.
func TestFullDisk(t *testing.T) {
	long := strings.Repeat("long", 1000)
	b := newBed(t)
	mountSmall(t, b.dir, "2m")
	p := b.start(t)
	defer func() { p.end() }()
	d := &docker{tb: t, host: b.host, sandbox: b.sandbox, post: func(method, body string) (int, string) { return p.post(method, body) }}
	if err := d.createNetwork(); err != nil {
		t.Fatal(err)
	}
	if err := d.run(); err != nil {
		t.Fatal(err)
	}

	made := 0
	mac := func(i int) string { return fmt.Sprintf("02:42:00:00:%02x:%02x", i>>8, i&0xff) }
	endpoint := func(i int) network.CreateEndpointRequest {
		return network.CreateEndpointRequest{
			NetworkID: d.network, EndpointID: fmt.Sprintf("%05d", i) + long,
			Interface: &network.EndpointInterface{AddressIPv6: address(d, i), MacAddress: mac(i)},
		}
	}
	for _, tt := range []struct {
		method string
		req    func(i int) any
	}{
		{"IpamDriver.RequestPool", func(i int) any {
			return ipamapi.RequestPoolRequest{Pool: fmt.Sprintf("fd00:%x::/64", i), V6: true}
		}},
		{"IpamDriver.RequestAddress", func(i int) any {
			return ipamapi.RequestAddressRequest{PoolID: d.pools[1].id, Options: map[string]string{
				keyMAC: mac(i), "com.docker.network.endpoint.name": long,
			}}
		}},
		{"NetworkDriver.CreateNetwork", func(i int) any {
			r := network.CreateNetworkRequest{
				NetworkID: fmt.Sprintf("%064d", i), Options: map[string]any{
					"com.docker.network.internal": true,
					"com.docker.network.generic":  map[string]string{"com.docker.network.bridge.name": fmt.Sprint("nd-full", i)},
				},
			}
			for j := range 60 {
				r.IPv6Data = append(r.IPv6Data, &network.IPAMData{Pool: fmt.Sprintf("fd01:%x:%x::/64", i, j)})
			}
			return r
		}},
		{"NetworkDriver.CreateEndpoint", func(i int) any { return endpoint(i) }},
		{"NetworkDriver.Join", func(i int) any {
			// Made while there was room.
			return network.JoinRequest{NetworkID: d.network, EndpointID: fmt.Sprintf("join%05d", i), SandboxKey: long}
		}},
	} {
		t.Logf("%s", tt.method)
		if strings.HasSuffix(tt.method, "Join") {
			for i := range 60 {
				e := endpoint(made + 1 + i)
				e.EndpointID = fmt.Sprintf("join%05d", made+1+i)
				if err := d.ask("NetworkDriver.CreateEndpoint", e, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		empty := fill(t, b.dir)
		var err error
		var before state
		for i := 0; err == nil; i++ {
			if i == 60 {
				t.Fatal("60 calls succeeded on a full disk")
			}
			made++
			before = p.state(t)
			err = d.ask(tt.method, tt.req(made), nil)
		}
		if !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), b.dir) {
			t.Errorf("error %v, want one that names the file and says that its disk is full", err)
		}
		if diff := cmp.Diff(before, p.state(t)); diff != "" {
			t.Errorf("%s changed something (-before +after):\n%s", tt.method, diff)
		}
		empty()
		if err := d.ask(tt.method, tt.req(made), nil); err != nil {
			t.Errorf("%s where there is room again: %v", tt.method, err)
		}
	}

	t.Log("docker stop")
	empty := fill(t, b.dir)
	d.stop()
	p.checkHost(t, "after stop on a full disk")
	empty()
	p.sweep(t, d)
	p.check(t, d, "after a sweep")
	p.end()
	p = b.start(t)
	p.check(t, d, "after a restart")
	d.removeNetwork()
	p.check(t, d, "after network rm")
}

// address is an IPv6 address of the network for endpoint i.
func address(d *docker, i int) string {
	prefix, _, _ := strings.Cut(d.pools[1].prefix, "::/")
	return fmt.Sprintf("%s:0:ff:%x/80", prefix, i)
}

// state is all that a process keeps and makes.
type state struct {
	Records, Host []string
}

func (p *process) state(t *testing.T) state {
	t.Helper()
	return state{p.records(t), settled(t)}
}
