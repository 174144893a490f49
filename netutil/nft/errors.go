package nft

import (
	"errors"

	"golang.org/x/sys/unix"
)

var (
	// ErrNoNftables says that the kernel has no nftables, or no Inet tables.
	ErrNoNftables = errors.New("the kernel has no nftables: load or enable CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET")
	// ErrNoNAT says that the kernel's nftables cannot rewrite addresses.
	ErrNoNAT = errors.New("the kernel's nftables have no NAT: load or enable CONFIG_NFT_NAT and CONFIG_NFT_MASQ")
	// ErrNoBridge says that the kernel has no Bridge tables. Ensure returns
	// it after everything but the Bridge tables is in place.
	ErrNoBridge = errors.New("the kernel's nftables see no bridges: load or enable CONFIG_NF_TABLES_BRIDGE")
	// ErrOwned says that another process, which is alive, owns our tables.
	ErrOwned = errors.New("tables " + Owner + " belong to another process that is still running")
)

// errRace says that somebody else's transaction came in between.
var errRace = errors.New("nftables kept changing")

// isRace reports whether err says that a rule, chain or table that was there
// a moment ago is gone, or that somebody else's transaction came between.
func isRace(err error) bool {
	for _, e := range []error{errRace, unix.ENOENT, unix.EEXIST, unix.EBUSY, unix.EAGAIN, unix.EINTR, unix.ERESTART} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
