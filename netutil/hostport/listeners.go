package hostport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Listener is a socket of the namespace that takes what is sent to a port.
type Listener struct {
	Proto uint8 // TCP or UDP
	Addr  netip.AddrPort
	inode string
}

// Listeners returns the TCP and UDP sockets of the calling thread's namespace
// that take new flows.
func Listeners() ([]Listener, error) {
	var out []Listener
	for _, t := range []struct {
		file  string
		proto uint8
		state string // of a socket that takes new flows
	}{
		{"tcp", TCP, "0A"}, {"tcp6", TCP, "0A"}, {"udp", UDP, "07"}, {"udp6", UDP, "07"},
	} {
		f, err := os.Open("/proc/thread-self/net/" + t.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Linux without IPv6.
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			const local, state, inode = 1, 3, 9
			fields := strings.Fields(lines.Text())
			if len(fields) <= inode || fields[state] != t.state {
				continue
			}
			if addr, ok := parseAddrPort(fields[local]); ok {
				out = append(out, Listener{t.proto, addr, fields[inode]})
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
	}
	return out, nil
}

// parseAddrPort reads an address as the kernel prints it: words of four bytes
// in the byte order of the machine, then the port.
func parseAddrPort(s string) (netip.AddrPort, bool) {
	addr, port, ok := strings.Cut(s, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || len(addr)%8 != 0 {
		return netip.AddrPort{}, false
	}
	var b []byte
	for ; len(addr) > 0; addr = addr[8:] {
		word, err := strconv.ParseUint(addr[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(word))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(number)), ok
}

// Holder returns a process that has the socket, and the name of its command. It
// reports false where none is seen: another user's are seen by root alone.
func (l Listener) Holder() (pid int, command string, ok bool) {
	want := "socket:[" + l.inode + "]"
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, "", false
	}
	for _, file := range files {
		if link, err := os.Readlink(file); err != nil || link != want {
			continue
		}
		process := filepath.Dir(filepath.Dir(file))
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue
		}
		return pid, strings.TrimSpace(string(name)), true
	}
	return 0, "", false
}
