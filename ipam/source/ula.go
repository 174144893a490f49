package source

import (
	"crypto/rand"
	"net/netip"
)

// ulaBits is the length of a site's unique local prefix (RFC 4193 3.1).
const ulaBits = 48

// RandomULA makes a unique local /48 with a random global ID (RFC 4193 3.2).
// The caller stores it: it is made once in a host's life.
func RandomULA() netip.Prefix {
	b := [16]byte{0xfd}
	rand.Read(b[1:6])
	return netip.PrefixFrom(netip.AddrFrom16(b), ulaBits)
}
