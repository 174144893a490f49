package xtables

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace, held by its file.
type namespace struct {
	file *os.File
	id   identity
}

// identity tells namespaces apart.
type identity struct{ device, inode uint64 }

const ownNamespace = "/proc/thread-self/ns/net"

// openNamespace returns the network namespace of the calling thread.
func openNamespace() (*namespace, error) {
	f, err := os.Open(ownNamespace)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("stat %s: %w", ownNamespace, err)
	}
	return &namespace{file: f, id: identity{st.Dev, st.Ino}}, nil
}

// path names the namespace for as long as it is held.
func (ns *namespace) path() string {
	return fmt.Sprintf("/proc/self/fd/%d", ns.file.Fd())
}

// here runs fn on the calling thread if that is in the namespace. Changing a
// thread's namespace needs CAP_SYS_ADMIN, which a process that lives in the
// namespace does not have.
func (ns *namespace) here(fn func() error) (err error, ok bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var st unix.Stat_t
	if err := unix.Stat(ownNamespace, &st); err != nil || (identity{st.Dev, st.Ino}) != ns.id {
		return nil, false
	}
	return fn(), true
}
