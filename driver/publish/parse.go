package publish

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/hostport"
)

// PortMap is the option of Docker's that lists the ports to publish.
//
// Docker expands -p 9000-9001:9000-9001 to one entry for each port, and -P to
// one with host port 0 for each exposed port. Its other option,
// com.docker.network.endpoint.exposedports, asks for nothing.
const PortMap = "com.docker.network.portmap"

// A Mapping is one port of a container as -p asks for it.
type Mapping struct {
	Proto uint8  // hostport.TCP, UDP or SCTP
	Port  uint16 // in the container
	// HostAddr is zero where none was given.
	HostAddr netip.Addr
	// HostPort to HostPortEnd is the range to take one from. Both are 0 where
	// none was given.
	HostPort, HostPortEnd uint16
}

// String returns the mapping as -p takes it.
func (m Mapping) String() string {
	text := fmt.Sprintf("%d/%s", m.Port, protoName(m.Proto))
	switch {
	case m.HostPort != m.HostPortEnd:
		text = fmt.Sprintf("%d-%d:%s", m.HostPort, m.HostPortEnd, text)
	case m.HostPort != 0:
		text = fmt.Sprintf("%d:%s", m.HostPort, text)
	case m.HostAddr.IsValid():
		text = ":" + text
	}
	switch {
	case m.HostAddr.Is6():
		text = fmt.Sprintf("[%s]:%s", m.HostAddr, text)
	case m.HostAddr.IsValid():
		text = fmt.Sprintf("%s:%s", m.HostAddr, text)
	}
	return text
}

// compare puts those that can only have one port first, so that no other
// takes it. Mappings that differ only in their address are neighbors.
func compare(a, b Mapping) int {
	freedom := func(m Mapping) int {
		if m.HostPort == 0 {
			return math.MaxInt
		}
		return int(m.HostPortEnd) - int(m.HostPort)
	}
	return cmp.Or(
		cmp.Compare(freedom(a), freedom(b)), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port),
		cmp.Compare(a.HostPort, b.HostPort), a.HostAddr.Compare(b.HostAddr))
}

// Parse returns what the options of a Join, CreateEndpoint or
// ProgramExternalConnectivity request ask to publish, each once and in an
// order of its own: Docker's is random.
func Parse(options map[string]any) ([]Mapping, error) {
	value, ok := options[PortMap]
	if !ok || value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("option %s is %s, use a list of objects with Proto, Port, HostIP and HostPort", PortMap, kind(value))
	}
	var mappings []Mapping
	for i, item := range list {
		m, err := parseMapping(item)
		if err != nil {
			return nil, fmt.Errorf("option %s, entry %d: %w", PortMap, i, err)
		}
		mappings = append(mappings, m)
	}
	slices.SortFunc(mappings, compare)
	return slices.Compact(mappings), nil
}

func parseMapping(item any) (Mapping, error) {
	fields, ok := item.(map[string]any)
	if !ok {
		return Mapping{}, fmt.Errorf("it is %s, use an object with Proto, Port, HostIP and HostPort", kind(item))
	}
	var m Mapping
	proto, err := number(fields, "Proto", 1, math.MaxUint8)
	if err != nil {
		return Mapping{}, err
	}
	m.Proto = uint8(proto)
	if !slices.Contains([]uint8{hostport.TCP, hostport.UDP, hostport.SCTP}, m.Proto) {
		return Mapping{}, fmt.Errorf("the value %d of Proto has no ports, use 6 (tcp), 17 (udp) or 132 (sctp)", m.Proto)
	}
	if m.Port, err = number(fields, "Port", 1, math.MaxUint16); err != nil {
		return Mapping{}, err
	}
	if m.HostPort, err = number(fields, "HostPort", 0, math.MaxUint16); err != nil {
		return Mapping{}, err
	}
	if m.HostPortEnd, err = number(fields, "HostPortEnd", 0, math.MaxUint16); err != nil {
		return Mapping{}, err
	}
	if m.HostPortEnd == 0 {
		m.HostPortEnd = m.HostPort
	}
	if m.HostPortEnd < m.HostPort || m.HostPort == 0 && m.HostPortEnd != 0 {
		return Mapping{}, fmt.Errorf("the value %d of HostPortEnd ends no range that starts at HostPort %d, use %[2]d or more, or 0 for both",
			m.HostPortEnd, m.HostPort)
	}
	m.HostAddr, err = hostAddr(fields)
	return m, err
}

// number reads a field that JSON left as a float64. A field that is not there is 0.
func number(fields map[string]any, key string, least, most float64) (uint16, error) {
	f, ok := 0.0, true
	if value := fields[key]; value != nil {
		f, ok = value.(float64)
	}
	if !ok || f != math.Trunc(f) || f < least || f > most {
		return 0, fmt.Errorf("the value %s of %s is not right, use a number from %.0f to %.0f", quote(fields[key]), key, least, most)
	}
	return uint16(f), nil
}

func hostAddr(fields map[string]any) (netip.Addr, error) {
	value := fields["HostIP"]
	if value == nil || value == "" {
		return netip.Addr{}, nil
	}
	text, _ := value.(string)
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	if err != nil || a.Zone() != "" || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return netip.Addr{}, fmt.Errorf("the value %s of HostIP is not right, use an address of the host that is not link-local, "+
			":: or 0.0.0.0 for all of a family, or none", quote(value))
	}
	return a, nil
}

// quote prints a value of JSON, cut short: it goes to a terminal.
func quote(value any) string {
	const most = 60
	text := fmt.Sprint(value)
	if len(text) > most {
		text = text[:most] + "..."
	}
	return fmt.Sprintf("%q", text)
}

func kind(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case nil:
		return "null"
	}
	return fmt.Sprintf("a %T", value)
}

func protoName(proto uint8) string {
	switch proto {
	case hostport.TCP:
		return "tcp"
	case hostport.UDP:
		return "udp"
	case hostport.SCTP:
		return "sctp"
	}
	return fmt.Sprint(proto)
}
