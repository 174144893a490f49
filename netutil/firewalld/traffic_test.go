package firewalld_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// removePermanent removes permanent zones and policies that are not shipped,
// as another program would.
func (d *daemon) removePermanent(t *testing.T) {
	t.Helper()
	for _, name := range d.list(t, "config.getPolicyNames") {
		d.remove(t, "policy", d.path(t, "config.getPolicyByName", name))
	}
	d.remove(t, "zone", d.path(t, "config.getZoneByName", "ndp6"))
}

func (d *daemon) path(t *testing.T, method, name string) (path dbus.ObjectPath) {
	t.Helper()
	if err := d.call(t, method, name).Store(&path); err != nil {
		t.Fatal(err)
	}
	return path
}

func (d *daemon) remove(t *testing.T, kind string, path dbus.ObjectPath) {
	t.Helper()
	if err := d.bus.Object(service, path).Call(service+".config."+kind+".remove", 0).Err; err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) addZone(t *testing.T, target string) {
	t.Helper()
	d.call(t, "config.addZone2", "ndp6", map[string]any{"target": target})
}

func (d *daemon) addPolicy(t *testing.T, name, egress string) {
	t.Helper()
	d.call(t, "config.addPolicy", name, map[string]any{
		"target": "ACCEPT", "ingress_zones": []string{"ANY"}, "egress_zones": []string{egress},
	})
}

// link is a way to reach one namespace from another.
type link struct{ from, address string }

// lab makes a router in the test's namespace, whose bridge nd-test has a
// container and whose other link leads outside, and returns how each reaches
// the other.
func lab(t *testing.T) (in, out link) {
	t.Helper()
	outside, container := nettest.Another(t), nettest.Another(t)
	nettest.Run(t,
		"sysctl -qw net.ipv6.conf.all.forwarding=1",
		"ip link add nd-test type bridge",
		"ip link add ndh-test type veth peer name eth0 netns "+container,
		"ip link set ndh-test master nd-test",
		"ip link add up0 type veth peer name eth0 netns "+outside,
		"ip link set nd-test up", "ip link set ndh-test up", "ip link set up0 up",
		"ip address add 2001:db8:1::1/64 dev up0 nodad",
		"ip address add 2001:db8:2::1/64 dev nd-test nodad",
	)
	for path, network := range map[string]string{outside: "2001:db8:1::", container: "2001:db8:2::"} {
		nettest.RunIn(t, path, "ip link set eth0 up", "ip address add "+network+"2/64 dev eth0 nodad", "ip route add default via "+network+"1")
		err := netns.Do(path, func() error {
			l, err := net.Listen("tcp", "["+network+"2]:80")
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
			go accept(l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return link{outside, "[2001:db8:2::2]:80"}, link{container, "[2001:db8:1::2]:80"}
}

func accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

func (l link) connect() error {
	return netns.Do(l.from, func() error {
		c, err := net.DialTimeout("tcp", l.address, 20*time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func TestTraffic(t *testing.T) {
	d := start(t)
	in, out := lab(t)
	passes := func(when string) {
		t.Helper()
		if err := errors.Join(in.connect(), out.connect()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	// firewalld says that the administrator prohibits it, so the rest of the way is right.
	rejected := func(when string) {
		t.Helper()
		for _, l := range []link{in, out} {
			if err := l.connect(); !errors.Is(err, syscall.EACCES) {
				t.Errorf("%s: to %s: got %v", when, l.address, err)
			}
		}
	}
	rejected("before")

	c := dial(t)
	again := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Watch(ctx, func() { again <- struct{}{} }) }()
	next := func(when string) {
		t.Helper()
		select {
		case <-again:
		case <-time.After(time.Minute):
			t.Fatalf("%s: Watch said nothing", when)
		}
	}
	set := func(names ...string) {
		t.Helper()
		if err := c.SetBridges(t.Context(), names); err != nil {
			t.Fatal(err)
		}
	}
	next("start")
	set("nd-test")
	passes("bridge in zone")
	next("reload of our own")
	set("nd-test")

	d.call(t, "reload")
	next("reload")
	set("nd-test")
	passes("reloaded")

	d.call(t, "completeReload")
	next("complete reload")
	set("nd-test")
	passes("completely reloaded")

	set()
	rejected("bridge not in zone")

	set("nd-test")
	passes("bridge in zone again")
	d.stop()
	d.run(t)
	next("restart")
	set("nd-test")
	passes("restarted")

	if err := c.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	rejected("removed")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch returned %v", err)
	}
}
