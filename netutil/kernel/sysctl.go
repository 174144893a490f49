package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctl returns the value of a sysctl without the white space around it. Its
// key is its path below /proc/sys, as in "net/ipv6/conf/eth0.100/accept_ra".
// The error wraps ErrNotFound if the kernel or the link does not have it.
//
// Sysctls are those of the calling thread's namespace, not of the Conn's.
func (c *Conn) Sysctl(key string) (string, error) {
	path, err := c.sysctlPath(key)
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", key, err)
	}
	value, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", key, sysctlError(err))
	}
	return strings.TrimSpace(string(value)), nil
}

// readFile is os.ReadFile for a short file, at a third of its cost: it leaves
// the runtime's poller alone.
func readFile(path string) ([]byte, error) {
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	value := make([]byte, 256)
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(fd, value) })
	return value[:max(n, 0)], err
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// SetSysctl writes a sysctl of the calling thread's namespace. Keys and errors
// are as for Sysctl.
func (c *Conn) SetSysctl(key, value string) error {
	path, err := c.sysctlPath(key)
	if err != nil {
		return fmt.Errorf("write sysctl %s: %w", key, err)
	}
	// No O_CREATE: a sysctl that is not there must be an error also below a test's directory.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("write sysctl %s: %w", key, sysctlError(err))
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write sysctl %s: %w", key, sysctlError(err))
	}
	return nil
}

// sysctlPath returns the file of a key. No part of the key, such as a link's
// name, can lead out of the directory.
func (c *Conn) sysctlPath(key string) (string, error) {
	parts := strings.Split(key, "/")
	bad := func(part string) bool {
		return part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0)
	}
	if len(parts) < 2 || parts[0] != "net" || slices.ContainsFunc(parts, bad) {
		return "", errors.New("not a key like net/ipv6/conf/eth0/accept_ra")
	}
	return filepath.Join(c.SysctlDir, filepath.Join(parts[1:]...)), nil
}

// sysctlError leaves out the path, which says the same as the key.
func sysctlError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
