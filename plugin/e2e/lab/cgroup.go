package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A run's process id and the lab's own number name the cgroup of all containers
// of a lab: ndp6-lab-PID-NUMBER.
const cgroupPrefix = "ndp6-lab-"

func cgroupName(pid, number int) string { return fmt.Sprintf("%s%d-%d", cgroupPrefix, pid, number) }

// sweepCgroups removes the cgroups of runs whose process is gone.
func sweepCgroups() error {
	dirs, err := cgroups(cgroupPrefix + "*")
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		run, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), "-")
		pid, err := strconv.Atoi(run)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			errs = append(errs, removeCgroup(dir))
		}
	}
	return errors.Join(errs...)
}

// removeCgroups removes the cgroups of a lab whose containers were ended,
// waiting for their last processes.
func removeCgroups(name string) error {
	dirs, err := cgroups(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeCgroup(dir))
	}
	return errors.Join(errs...)
}

// cgroups finds the cgroups of a name, in each hierarchy of version 1 or the one of version 2.
func cgroups(name string) ([]string, error) {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, err := filepath.Glob(pattern + name)
		if err != nil {
			return nil, fmt.Errorf("find cgroups: %w", err)
		}
		dirs = append(dirs, found...)
	}
	return dirs, nil
}

// removeCgroup removes a cgroup and those below it.
func removeCgroup(dir string) error {
	var below []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			below = append(below, path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, dir := range slices.Backward(below) {
		err := syscall.Rmdir(dir)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond) // The kernel has no event for it.
			err = syscall.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
	return nil
}
