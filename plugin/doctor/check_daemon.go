package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ndp6/ndp6/plugin/store"
)

func daemonChecks() []check { return []check{storeHealth, daemonRuns, sockets} }

func storeHealth(f *Facts) []Finding {
	err := f.Daemon.Store
	if err == nil {
		return nil
	}
	path := filepath.Join(f.Settings.StateDir, "state.db")
	finding := Finding{Severity: Error, What: err.Error()}
	switch {
	case errors.Is(err, store.ErrLocked):
		finding.Code, finding.What = StoreLocked, "another process uses the store "+path
		finding.Why = "ndp6 does not start while it does, and the one that uses it does not answer"
		finding.Advice = "is it an ndp6 that hangs, or one with another --state-dir of the same files? End it, then start ndp6"
		if f.Daemon.Holder > 0 {
			finding.What = fmt.Sprintf("process %d uses the store %s", f.Daemon.Holder, path)
			finding.Fix = []string{fmt.Sprintf("kill %d", f.Daemon.Holder)}
		}
	case errors.Is(err, store.ErrNewer):
		finding.Code, finding.Why = StoreNewer, "this version does not read it, and refuses to start rather than to lose networks"
		finding.Advice = "install the version of ndp6 that wrote it. A copy from before its migration is beside it, as state.db.schema-N"
	case errors.Is(err, store.ErrDamaged):
		finding.Code, finding.Why = StoreDamaged, "ndp6 refuses to start rather than to forget networks"
		finding.Fix = []string{fmt.Sprintf("mv %s %s.damaged-%s", path, path, time.Now().UTC().Format("20060102T150405"))}
		finding.Advice = "restore it from a backup if there is one. With an empty one the networks of ndp6 have to be made again: docker network rm, docker network create"
	default:
		finding.Code, finding.Why = StoreFailing, "ndp6 cannot start without its records"
		finding.Advice = "see to the disk and the file's permissions"
	}
	return []Finding{finding}
}

func daemonRuns(f *Facts) []Finding {
	d := f.Daemon
	if d.Status != nil || d.Denied {
		return nil
	}
	why := "containers of ndp6's networks cannot be started or stopped"
	if len(f.Networks) > 0 {
		why += "; those that run keep their traffic, but nothing repairs what others change"
	}
	return []Finding{{
		Code: DaemonDown, Severity: Error, What: "ndp6 does not run: " + d.Err.Error(), Why: why,
		Fix:    []string{"systemctl start ndp6 || docker plugin enable ndp6-net"},
		Advice: "if it does not stay up, its last words say why: journalctl -u ndp6, or for the managed plugin journalctl -u docker",
	}}
}

func sockets(f *Facts) []Finding {
	if f.Daemon.Status == nil {
		return nil
	}
	var out []Finding
	// The socket is that of a unit of its own, which makes it when it starts.
	restart := []string{"systemctl restart ndp6.socket ndp6.service || { docker plugin disable -f ndp6-net && docker plugin enable ndp6-net; }"}
	for _, s := range f.Daemon.Sockets {
		finding := Finding{
			Code: SocketMissing, Severity: Error, What: "Docker's way to ndp6 is gone: no socket " + s.Path,
			Why: "docker waits 15 seconds for it, then says that the plugin is not found",
			Fix: restart,
		}
		if s.Stale {
			finding.Code, finding.What = SocketStale, "nobody listens on socket "+s.Path
			finding.Fix = append([]string{"rm " + s.Path}, restart...)
		}
		finding.Advice = "if ndp6 serves Docker elsewhere, say so with --socket"
		out = append(out, finding)
	}
	return out
}
