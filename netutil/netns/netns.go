// Package netns runs functions inside another network namespace.
//
// A namespace belongs to a thread, so Do keeps the calling function on one
// thread that nobody else uses. Goroutines that fn starts run elsewhere, in
// the process's own namespace: start none.
package netns

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// Do calls fn on a thread that is in the namespace at path, such as
// /run/netns/lab or /proc/123/ns/net, and returns fn's error. Sockets that fn
// opens stay in that namespace.
func Do(path string, fn func() error) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", path, err)
	}
	defer ns.Close()
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter namespace %s: %w", path, err)
		}
		return fn()
	})
}

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
