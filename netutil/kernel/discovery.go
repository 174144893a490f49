package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Discovery counts the neighbor discovery of a link since it was made: the
// kernel's own, not what packet sockets send.
type Discovery struct {
	// Solicitations are those that were received, for whatever address.
	Solicitations uint64
	// Advertisements are those that were sent, for addresses of the host and
	// for proxy entries.
	Advertisements uint64
}

// Discovery returns the counts of a link of the calling thread's namespace.
// The error wraps ErrNotFound if there is no such link.
func (c *Conn) Discovery(link string) (Discovery, error) {
	var d Discovery
	err := checkName(link)
	if err == nil {
		d, err = readDiscovery(filepath.Join("/proc/thread-self/net/dev_snmp6", link))
	}
	if err != nil {
		return Discovery{}, fmt.Errorf("read neighbor discovery of link %q: %w", link, sysctlError(err))
	}
	return d, nil
}

func readDiscovery(path string) (d Discovery, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "\t")
		var count *uint64
		switch strings.TrimSpace(name) {
		case "Icmp6InNeighborSolicits":
			count = &d.Solicitations
		case "Icmp6OutNeighborAdvertisements":
			count = &d.Advertisements
		default:
			continue
		}
		if *count, err = strconv.ParseUint(strings.TrimSpace(value), 10, 64); err != nil {
			return d, err
		}
	}
	return d, nil
}
