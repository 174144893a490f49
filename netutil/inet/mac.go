package inet

import (
	"crypto/rand"
	"fmt"
	"net"
)

// A MAC is a 48-bit Ethernet address. The zero value is no address.
type MAC [6]byte

// ParseMAC parses the colon form of a 48-bit address, as Docker writes it.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != len(MAC{}) {
		return MAC{}, fmt.Errorf("MAC %q is not six hexadecimal octets: use a form like 02:42:ac:11:00:02", s)
	}
	return MAC(hw), nil
}

// RandomMAC returns a locally administered unicast address from a
// cryptographic source.
func RandomMAC() MAC {
	var m MAC
	rand.Read(m[:]) // It never returns an error.
	m[0] = m[0]&^0x01 | 0x02
	return m
}

// CheckHost says why m cannot be the address of a host, nil if it can.
func (m MAC) CheckHost() error {
	switch {
	case m == MAC{}:
		return fmt.Errorf("MAC %s is all zero: use a unicast address such as 02:42:ac:11:00:02", m)
	case m[0]&0x01 != 0:
		return fmt.Errorf("MAC %s is a multicast address: clear the lowest bit of its first octet, as in %s", m, MAC{m[0] &^ 0x01, m[1], m[2], m[3], m[4], m[5]})
	}
	return nil
}

// IsZero reports whether m is no address.
func (m MAC) IsZero() bool { return m == MAC{} }

// HardwareAddr returns m for the packages that take a slice.
func (m MAC) HardwareAddr() net.HardwareAddr { return m[:] }

// String returns the colon form.
func (m MAC) String() string { return m.HardwareAddr().String() }

// MarshalText writes the colon form, and nothing for the zero value.
func (m MAC) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
