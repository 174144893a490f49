package dropin_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/dropin"
)

// memory is a ledger that can be full.
type memory struct {
	changes map[string]reconcile.Change
	full    error
}

func (m *memory) All() (map[string]reconcile.Change, error) { return maps.Clone(m.changes), nil }

func (m *memory) Put(name string, c reconcile.Change) error {
	if m.full == nil {
		m.changes[name] = c
	}
	return m.full
}

func (m *memory) Delete(name string) error {
	if m.full == nil {
		delete(m.changes, name)
	}
	return m.full
}

func newLedger(t *testing.T, m *memory, path string, log *slog.Logger) *dropin.Ledger {
	t.Helper()
	l, err := dropin.New(m, path, log)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// content is the file's, without its first line.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "no file"
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	return rest
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sysctl.d", "zz-ndp6.conf")
	m := &memory{changes: map[string]reconcile.Change{}}
	l := newLedger(t, m, path, slog.New(slog.DiscardHandler))
	expect := func(want string) {
		t.Helper()
		if diff := cmp.Diff(want, content(t, path)); diff != "" {
			t.Errorf("file (-want +got):\n%s", diff)
		}
	}
	put := func(name, old, wrote string) {
		t.Helper()
		if err := l.Put(name, reconcile.Change{Old: old, Wrote: wrote}); err != nil {
			t.Fatal(err)
		}
	}
	expect("no file")
	put("net/ipv6/conf/all/forwarding", "0", "1")
	put("net/ipv6/conf/eth0.100/accept_ra", "1", "2")
	const both = "-net/ipv6/conf/eth0.100/accept_ra = 2\n-net/ipv6/conf/all/forwarding = 1\n"
	expect(both)

	// A change that is not on record is not made, and not in the file.
	m.full = errors.New("disk full")
	if err := l.Put("net/ipv4/ip_forward", reconcile.Change{Old: "0", Wrote: "1"}); !errors.Is(err, m.full) {
		t.Errorf("error %v, want %v", err, m.full)
	}
	m.full = nil
	expect(both)

	// The next process knows what this one wrote, and what it did not get to.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l = newLedger(t, m, path, slog.New(slog.DiscardHandler))
	expect(both)
	for name := range maps.Clone(m.changes) {
		if err := l.Delete(name); err != nil {
			t.Fatal(err)
		}
	}
	expect("no file")
}

// TestUnwritable has no place for the file: the change is made all the same.
func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	m := &memory{changes: map[string]reconcile.Change{}}
	l := newLedger(t, m, filepath.Join(file, "zz-ndp6.conf"), slog.New(slog.NewTextHandler(&log, nil)))
	if err := l.Put("net/ipv4/ip_forward", reconcile.Change{Old: "0", Wrote: "1"}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "sysctl.d file not kept") {
		t.Errorf("log %q, want a warning", log.String())
	}
}

// TestSysctl has the program that reads such files take this one, also where
// a link is gone.
func TestSysctl(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip link add eth0.100 type bridge")
	path := filepath.Join(t.TempDir(), "zz-ndp6.conf")
	l := newLedger(t, &memory{changes: map[string]reconcile.Change{}}, path, slog.New(slog.DiscardHandler))
	for name, value := range map[string]string{
		"net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth0.100/accept_ra": "2", "net/ipv6/conf/gone0/proxy_ndp": "1",
	} {
		if err := l.Put(name, reconcile.Change{Wrote: value}); err != nil {
			t.Fatal(err)
		}
	}
	nettest.Run(t, "sysctl -e -q -p "+path)
	for name, want := range map[string]string{"all/forwarding": "1", "eth0.100/accept_ra": "2"} {
		got, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name)
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q (%v), want %s", name, got, err, want)
		}
	}
}
