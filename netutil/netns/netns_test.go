package netns_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// links returns the names of the links of the calling thread's namespace.
func links() ([]string, error) {
	ifis, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, ifi := range ifis {
		names = append(names, ifi.Name)
	}
	slices.Sort(names)
	return names, nil
}

func TestDo(t *testing.T) {
	nettest.Enter(t)
	other := nettest.Another(t)
	nettest.Run(t, "ip link add here type bridge")
	nettest.RunIn(t, other, "ip link add there type bridge")
	var inside []string
	err := netns.Do(other, func() (err error) {
		inside, err = links()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lo", "there"}, inside); diff != "" {
		t.Errorf("links inside (-want +got):\n%s", diff)
	}
	outside, err := links()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"here", "lo"}, outside); diff != "" {
		t.Errorf("links after Do (-want +got):\n%s", diff)
	}
}

func TestDoErrors(t *testing.T) {
	nettest.Enter(t)
	err := netns.Do("/run/netns/missing", func() error { return nil })
	if !errors.Is(err, netns.ErrGone) || !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "open namespace /run/netns/missing: ") {
		t.Errorf("no namespace: got %v", err)
	}
	// What Docker leaves for a moment when it has unmounted a sandbox.
	file := filepath.Join(t.TempDir(), "sandbox")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := netns.Do(file, func() error { return nil }); !errors.Is(err, netns.ErrGone) {
		t.Errorf("file that is no namespace: got %v", err)
	}
	own := errors.New("own error")
	if err := netns.Do(nettest.Another(t), func() error { return own }); !errors.Is(err, own) {
		t.Errorf("error of the function: got %v", err)
	}
}

func TestPrivate(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip link add here type bridge")
	var inside []string
	if err := netns.Private(func() (err error) {
		inside, err = links()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lo"}, inside); diff != "" {
		t.Errorf("links inside (-want +got):\n%s", diff)
	}
	own := errors.New("own error")
	if err := netns.Private(func() error { return own }); !errors.Is(err, own) {
		t.Errorf("error of the function: got %v", err)
	}
}
