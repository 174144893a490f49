package xtables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// family is what differs between the tables of iptables and ip6tables.
type family struct {
	domain  int    // of the socket
	level   int    // of its options
	command string // that changes the tables
	names   string // in /proc, lists the tables that exist
	layout  layout
}

var (
	ipv4 = family{unix.AF_INET, unix.SOL_IP, "iptables-legacy", "ip_tables_names", layoutIPv4}
	ipv6 = family{unix.AF_INET6, unix.SOL_IPV6, "ip6tables-legacy", "ip6_tables_names", layoutIPv6}
)

// Socket options of linux/netfilter_ipv4/ip_tables.h, the same for IPv6.
const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES
)

// table is the filter table of one family.
type table struct {
	family family
	ns     *namespace
	socket int      // -1 where the kernel lacks the family
	names  *os.File // nil while the kernel lacks the tables

	seen info // at the last whole look
	is   state
	at   time.Time     // end of that look; zero when it no longer counts
	took time.Duration // by it
}

// openTable opens what a look needs, in the namespace of the calling thread. Any
// socket of the family will do, and this kind needs no privilege.
func openTable(ns *namespace, f family) (*table, error) {
	t := &table{family: f, ns: ns, socket: -1}
	s, err := unix.Socket(f.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT): // Linux without IPv6.
	case err != nil:
		return nil, fmt.Errorf("open socket for %s: %w", f.command, err)
	default:
		t.socket = s
	}
	return t, nil
}

func (t *table) close() error {
	var errs []error
	if t.names != nil {
		errs = append(errs, t.names.Close())
	}
	if t.socket >= 0 {
		errs = append(errs, unix.Close(t.socket))
	}
	return errors.Join(errs...)
}

// inUse reports whether the table exists.
func (t *table) inUse() bool {
	if t.socket < 0 {
		return false
	}
	var buf [256]byte // a dozen short names at most
	n, err := t.readNames(buf[:])
	if err != nil {
		return false // no such module, so no tables
	}
	for name := range bytes.Lines(buf[:n]) {
		if string(bytes.TrimSpace(name)) == "filter" {
			return true
		}
	}
	return false
}

// readNames reads the list of tables. The file stays open: it belongs to the
// namespace in which it was opened, whichever thread reads it.
func (t *table) readNames(buf []byte) (int, error) {
	if t.names != nil {
		n, err := t.names.ReadAt(buf, 0)
		if err == nil || errors.Is(err, io.EOF) {
			return n, nil
		}
		t.names.Close() // The module went, and its files with it.
		t.names = nil
	}
	err := t.ns.do(func() (err error) {
		t.names, err = os.Open("/proc/thread-self/net/" + t.family.names)
		return err
	})
	if err != nil {
		t.names = nil
		return 0, err
	}
	n, err := t.names.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, nil
}

// look returns the state of FORWARD. The kernel sums the counters of all rules
// on all processors for whoever reads them, milliseconds where there are
// thousands. So where the table's outline is as it was, the whole table is read
// again only after a hundred times as long as that took: what leaves the
// outline alone, such as two rules of one size swapped, is seen a little later.
func (t *table) look() (state, error) {
	const share = 100
	const attempts = 10
	for range attempts {
		outline, err := t.outline()
		if err != nil {
			return state{}, err
		}
		if outline == t.seen && time.Since(t.at) < share*t.took {
			return t.is, nil
		}
		start := time.Now()
		entries, err := t.entries(outline.Size)
		if errors.Is(err, unix.EAGAIN) {
			continue // Somebody changed the table in between.
		}
		if err != nil {
			return state{}, err
		}
		is, err := t.family.layout.read(outline, entries)
		if err != nil {
			return state{}, err
		}
		t.seen, t.is, t.at = outline, is, time.Now()
		t.took = t.at.Sub(start)
		return is, nil
	}
	return state{}, fmt.Errorf("read filter table: changed %d times meanwhile: %w", attempts, unix.EAGAIN)
}

// forget makes the next look a whole one.
func (t *table) forget() { t.at = time.Time{} }

// outline reads the table's struct ipt_getinfo.
func (t *table) outline() (info, error) {
	i := info{Name: filterName}
	if err := t.option(getInfo, unsafe.Pointer(&i), unsafe.Sizeof(i)); err != nil {
		return info{}, fmt.Errorf("read outline of filter table: %w", err)
	}
	return i, nil
}

// entries reads the table's rules, size bytes.
func (t *table) entries(size uint32) ([]byte, error) {
	// struct ipt_get_entries: its rules are aligned to 8 bytes.
	const header = unsafe.Sizeof(filterName) + 8
	buf := make([]byte, header+uintptr(size))
	copy(buf, filterName[:])
	*(*uint32)(unsafe.Pointer(&buf[len(filterName)])) = size
	if err := t.option(getEntries, unsafe.Pointer(&buf[0]), uintptr(len(buf))); err != nil {
		return nil, fmt.Errorf("read rules of filter table: %w", err)
	}
	return buf[header:], nil
}

// option is getsockopt(2) with a value that goes both ways.
func (t *table) option(name uintptr, value unsafe.Pointer, size uintptr) error {
	n := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(t.socket), uintptr(t.family.level), name,
		uintptr(value), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
