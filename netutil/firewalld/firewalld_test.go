package firewalld_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/firewalld"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func dial(t *testing.T) *firewalld.Conn {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := firewalld.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // The connection lasts.
	t.Cleanup(func() { c.Close() })
	return c
}

// state is what is there of ours.
type state struct {
	Zones, Policies, Links []string
}

func (d *daemon) state(t *testing.T) state {
	t.Helper()
	s := state{Zones: d.list(t, "zone.getZones"), Policies: d.list(t, "policy.getPolicies")}
	for _, zone := range s.Zones {
		for _, link := range d.list(t, "zone.getInterfaces", zone) {
			s.Links = append(s.Links, zone+"/"+link)
		}
	}
	return s
}

func (d *daemon) expect(t *testing.T, when string, want state) {
	t.Helper()
	if diff := cmp.Diff(want, d.state(t)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

var (
	before  = state{Zones: []string{"block", "drop", "public", "trusted"}, Policies: []string{}}
	without = state{Zones: []string{"block", "drop", "ndp6", "public", "trusted"}, Policies: []string{"ndp6-forwarding"}}
)

func with(links ...string) state {
	s := without
	s.Links = links
	return s
}

func TestSetBridges(t *testing.T) {
	d := start(t)
	c := dial(t)
	ctx := t.Context()
	set := func(names ...string) {
		t.Helper()
		if err := c.SetBridges(ctx, names); err != nil {
			t.Fatalf("%v: %v", names, err)
		}
	}
	set()
	d.expect(t, "no bridge", before)
	set("nd-0", "nd-1")
	d.expect(t, "two bridges", with("ndp6/nd-0", "ndp6/nd-1"))
	set("nd-1", "nd-0")
	d.expect(t, "the same", with("ndp6/nd-0", "ndp6/nd-1"))
	set("nd-2", "nd-1")
	d.expect(t, "another", with("ndp6/nd-1", "ndp6/nd-2"))

	d.call(t, "zone.addInterface", "trusted", "nd-3")
	err := c.SetBridges(ctx, []string{"nd-1", "nd-3", "nd-4"})
	if err == nil || !strings.HasPrefix(err.Error(), "add bridge nd-3 to firewalld zone ndp6: ZONE_CONFLICT: ") {
		t.Errorf("bridge in another zone: got %v", err)
	}
	d.expect(t, "a bridge in another zone", with("ndp6/nd-1", "ndp6/nd-4", "trusted/nd-3"))

	set()
	d.expect(t, "no bridge any more", with("trusted/nd-3"))
	if got := d.list(t, "config.getZoneNames"); !cmp.Equal(without.Zones, got) {
		t.Errorf("permanent zones: %v", got)
	}
}

func TestRemove(t *testing.T) {
	d := start(t)
	c := dial(t)
	remove := func(when string) {
		t.Helper()
		if err := c.Remove(t.Context()); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		d.expect(t, when, before)
		if got := d.list(t, "config.getZoneNames"); !cmp.Equal(before.Zones, got) {
			t.Errorf("%s: permanent zones: %v", when, got)
		}
		if got := d.list(t, "config.getPolicyNames"); len(got) > 0 {
			t.Errorf("%s: permanent policies: %v", when, got)
		}
	}
	remove("nothing to remove")
	for range 2 {
		if err := c.SetBridges(t.Context(), []string{"nd-0"}); err != nil {
			t.Fatal(err)
		}
		d.expect(t, "a bridge", with("ndp6/nd-0"))
		remove("removed")
	}
	left, err := filepath.Glob(filepath.Join(d.config, "etc", "*", "*.xml"))
	if err != nil || len(left) > 0 {
		t.Errorf("files that stay: %v, %v", left, err)
	}
}

// TestCutShort finds the zone and the policy where a process died before it had
// firewalld reload.
func TestCutShort(t *testing.T) {
	d := start(t)
	c := dial(t)
	bridges := []string{"nd-0"}
	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.removePermanent(t)
	d.expect(t, "removed, not reloaded", with("ndp6/nd-0"))
	if err := c.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "removed", before)

	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.removePermanent(t)
	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.call(t, "reload")
	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "made again", with("ndp6/nd-0"))

	d.removePermanent(t)
	d.call(t, "reload")
	d.expect(t, "gone", before)
	d.addZone(t, "ACCEPT")
	d.expect(t, "zone made, not reloaded", before)
	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "zone made, and reloaded", with("ndp6/nd-0"))
}

// TestAdministrators leaves what others made, and says what is wrong with it.
func TestAdministrators(t *testing.T) {
	d := start(t)
	c := dial(t)
	bridges := []string{"nd-0"}
	expectError := func(when string, err error, want string) {
		t.Helper()
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", when, err, want)
		}
	}
	d.addZone(t, "default")
	expectError("zone that rejects", c.SetBridges(t.Context(), bridges),
		"firewalld zone ndp6 has target default: run firewall-cmd --permanent --zone=ndp6 --set-target=ACCEPT")
	d.removePermanent(t)

	d.addZone(t, "ACCEPT")
	d.addPolicy(t, "ndp6-forwarding", "public")
	expectError("policy for another zone", c.SetBridges(t.Context(), bridges),
		"firewalld policy ndp6-forwarding does not accept from ANY to ndp6: "+
			"delete it with firewall-cmd --permanent --delete-policy=ndp6-forwarding")
	d.removePermanent(t)

	d.addZone(t, "ACCEPT")
	d.addPolicy(t, "ndp6-forwarding", "ndp6")
	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "made by an administrator", with("ndp6/nd-0"))
	d.addPolicy(t, "other", "trusted")
	if err := c.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "what an administrator made stays", without)
	if got := d.list(t, "config.getPolicyNames"); !cmp.Equal([]string{"ndp6-forwarding", "other"}, got) {
		t.Errorf("permanent policies: %v", got)
	}
	d.removePermanent(t)
	d.call(t, "reload")

	if err := c.SetBridges(t.Context(), bridges); err != nil {
		t.Fatal(err)
	}
	d.addPolicy(t, "theirs", "ndp6")
	expectError("policy that refers to our zone", c.Remove(t.Context()),
		"remove firewalld zone ndp6: policy theirs refers to it")
}

func TestNotRunning(t *testing.T) {
	t.Run("no bus", func(t *testing.T) {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "bus"))
		_, err := firewalld.Dial(t.Context())
		if !errors.Is(err, firewalld.ErrNotRunning) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no bus where the system's is", func(t *testing.T) {
		if os.Geteuid() != 0 {
			nettest.Unavailable(t, "hiding /run needs root")
		}
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "")
		dialed := make(chan error, 1)
		go func() {
			runtime.LockOSThread() // And never unlocked, so that the thread ends with what it sees.
			if err := hideRun(); err != nil {
				dialed <- err
				return
			}
			_, err := firewalld.Dial(t.Context())
			dialed <- err
		}()
		if err := <-dialed; !errors.Is(err, firewalld.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no firewalld", func(t *testing.T) {
		startBus(t)
		if _, err := firewalld.Dial(t.Context()); !errors.Is(err, firewalld.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		d := start(t)
		c := dial(t)
		d.stop()
		if err := c.SetBridges(t.Context(), []string{"nd-0"}); !errors.Is(err, firewalld.ErrNotRunning) {
			t.Errorf("SetBridges: got %v", err)
		}
		if err := c.Remove(t.Context()); !errors.Is(err, firewalld.ErrNotRunning) {
			t.Errorf("Remove: got %v", err)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		startBus(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := firewalld.Dial(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// hideRun covers /run for the calling thread alone.
func hideRun() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("hide /run: %w", err)
	}
	return nil
}

func TestWatchEnds(t *testing.T) {
	start(t)
	c := dial(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	listens := make(chan struct{}, 10)
	watch := func(ctx context.Context) {
		go func() { done <- c.Watch(ctx, func() { listens <- struct{}{} }) }()
		<-listens
	}
	ends := func() error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			t.Fatal("Watch goes on")
			return nil
		}
	}
	watch(ctx)
	cancel()
	if err := ends(); err != nil {
		t.Errorf("context ended: got %v", err)
	}
	watch(t.Context())
	c.Close()
	if err := ends(); !errors.Is(err, firewalld.ErrNotRunning) {
		t.Errorf("connection ended: got %v", err)
	}
	if err := c.Watch(t.Context(), func() {}); !errors.Is(err, firewalld.ErrNotRunning) {
		t.Errorf("after Close: got %v", err)
	}
}
