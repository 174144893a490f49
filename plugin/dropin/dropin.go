// Package dropin keeps a sysctl.d(5) file with the sysctls that are changed for
// containers, so that `sysctl --system` does not undo them for as long as
// nobody repairs it.
package dropin

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ndp6/ndp6/driver/reconcile"
)

const head = `# Made by ndp6, and removed with the last network that needs it.
`

// A Ledger is the one below it, with the file beside. A file that cannot be
// written is logged: containers do not need it.
type Ledger struct {
	reconcile.Ledger
	path string
	log  *slog.Logger

	// mu is held while the file is written, so that the last content wins.
	mu      sync.Mutex
	changes map[string]reconcile.Change
}

// New returns a ledger that keeps the file at path as the one below it is.
func New(below reconcile.Ledger, path string, log *slog.Logger) (*Ledger, error) {
	changes, err := below.All()
	if err != nil {
		return nil, fmt.Errorf("read the sysctl ledger: %w", err)
	}
	l := &Ledger{Ledger: below, path: path, log: log, changes: changes}
	l.edit(func() {})
	return l, nil
}

// Put implements reconcile.Ledger.
func (l *Ledger) Put(name string, c reconcile.Change) error {
	if err := l.Ledger.Put(name, c); err != nil {
		return err
	}
	l.edit(func() { l.changes[name] = c })
	return nil
}

// Delete implements reconcile.Ledger.
func (l *Ledger) Delete(name string) error {
	if err := l.Ledger.Delete(name); err != nil {
		return err
	}
	l.edit(func() { delete(l.changes, name) })
	return nil
}

func (l *Ledger) edit(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if err := l.write(); err != nil {
		l.log.Warn("sysctl.d file not kept", "path", l.path, "err", err)
	}
}

func (l *Ledger) write() error {
	if len(l.changes) == 0 {
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	dir, name := filepath.Split(l.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fresh := filepath.Join(dir, "."+name+".new")
	if err := os.WriteFile(fresh, []byte(l.text()), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, l.path)
}

func (l *Ledger) text() string {
	// Forwarding makes a link with accept_ra=1 forget its default route, so
	// that accept_ra comes before.
	rank := func(name string) int {
		if strings.HasSuffix(name, "/accept_ra") {
			return 0
		}
		return 1
	}
	names := slices.SortedFunc(maps.Keys(l.changes), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	var b strings.Builder
	b.WriteString(head)
	for _, name := range names {
		// With slashes, because a link's name may have dots; with a dash, because
		// the link may be gone.
		fmt.Fprintf(&b, "-%s = %s\n", name, l.changes[name].Wrote)
	}
	return b.String()
}
