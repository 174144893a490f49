// Package netns runs functions inside another network namespace.
//
// A namespace belongs to a thread, so Do keeps the calling function on one
// thread that nobody else uses. Goroutines that fn starts run elsewhere, in
// the process's own namespace: start none.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"syscall"

	"github.com/vishvananda/netns"
)

// ErrGone is wrapped by the errors for a path at which there is no namespace:
// nothing, or the empty file that was its mount point.
var ErrGone = errors.New("no namespace there")

// Do calls fn on a thread that is in the namespace at path, such as
// /run/netns/lab or /proc/123/ns/net, and returns fn's error. Sockets that fn
// opens stay in that namespace. The error wraps ErrGone where there is none.
func Do(path string, fn func() error) error {
	ns, err := netns.GetFromPath(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrGone, err)
	}
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", path, err)
	}
	defer ns.Close()
	return onThread(func() error {
		err := netns.Set(ns)
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("%w: %w", ErrGone, err)
		}
		if err != nil {
			return fmt.Errorf("enter namespace %s: %w", path, err)
		}
		return fn()
	})
}

// Private calls fn on a thread that is in a namespace of its own, which ends
// with what fn leaves open there, and returns fn's error. It takes CAP_SYS_ADMIN.
func Private(fn func() error) error {
	return onThread(func() error {
		ns, err := netns.New()
		if err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		defer ns.Close()
		return fn()
	})
}

// Allowed returns why this process cannot enter other namespaces, nil if it
// can: it takes CAP_SYS_ADMIN.
func Allowed() error { return Do("/proc/self/ns/net", func() error { return nil }) }

// onThread runs fn on a thread of its own. The thread stays locked when its
// goroutine ends, so the runtime ends it and its namespace never leaks.
func onThread(fn func() error) error {
	errc := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		errc <- fn()
	}()
	return <-errc
}
