package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/store"
)

// lookAtDaemon asks the daemon, and looks at what it should have where it does not answer.
func (f *Facts) lookAtDaemon(ctx context.Context) {
	d := &f.Daemon
	status, err := admin.Get(ctx, f.Settings.StateDir)
	d.Err = err
	switch {
	case err == nil:
		d.Status = &status
		d.PID = peer(admin.Socket(f.Settings.StateDir))
	case errors.Is(err, fs.ErrPermission):
		d.Denied = true
		f.unseen("what the running ndp6 says", err)
	default:
		f.lookAtStore()
	}
	for _, path := range f.Settings.Sockets {
		err := dial(path)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrPermission):
			f.unseen("socket "+path, err)
		case errors.Is(err, syscall.ECONNREFUSED):
			d.Sockets = append(d.Sockets, Socket{Path: path, Stale: true})
		default:
			d.Sockets = append(d.Sockets, Socket{Path: path})
		}
	}
}

func dial(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second) //nolint:noctx // a local socket answers at once or not at all.
	if err != nil {
		return err
	}
	return conn.Close()
}

// peer returns the process that answers on a socket, 0 if that is not known.
func peer(path string) int {
	conn, err := net.DialTimeout("unix", path, time.Second) //nolint:noctx // as in dial.
	if err != nil {
		return 0
	}
	defer conn.Close()
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

func (f *Facts) lookAtStore() {
	err := store.Inspect(f.Settings.StateDir)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, fs.ErrPermission):
		f.unseen("the store", err)
		return
	}
	f.Daemon.Store = err
	if errors.Is(err, store.ErrLocked) {
		f.Daemon.Holder = locker(filepath.Join(f.Settings.StateDir, "state.db"))
	}
}

// locker returns the process that has a file locked, 0 if that is not known.
func locker(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close()
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		const kind, pid, file = 1, 4, 5
		fields := strings.Fields(lines.Text())
		if len(fields) <= file || fields[kind] != "FLOCK" || !strings.HasSuffix(fields[file], inode) {
			continue
		}
		if n, err := strconv.Atoi(fields[pid]); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// lookAtCapabilities reads those of the daemon, or of this process where root
// runs it and there is no daemon.
func (f *Facts) lookAtCapabilities() {
	path, of := "/proc/thread-self/status", "this process"
	switch {
	case f.Daemon.PID > 0:
		path, of = fmt.Sprintf("/proc/%d/status", f.Daemon.PID), fmt.Sprintf("ndp6, process %d,", f.Daemon.PID)
	case os.Geteuid() != 0:
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.unseen("capabilities of ndp6", err)
		return
	}
	for line := range strings.Lines(string(b)) {
		hex, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			f.unseen("capabilities of ndp6", err)
			return
		}
		f.Capabilities = Capabilities{Seen: true, Of: of, Bits: bits}
	}
}

// askDocker asks which Docker answers.
func (f *Facts) askDocker(ctx context.Context) {
	if f.Settings.DockerSocket == "" {
		return
	}
	release, err := engine.New(f.Settings.DockerSocket).Release(ctx)
	if errors.Is(err, fs.ErrPermission) {
		f.unseen("Docker's version", err)
		return
	}
	f.Docker = Docker{Asked: true, Err: err, Release: release}
}
