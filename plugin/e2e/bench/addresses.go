package main

import (
	"net/netip"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// addresses are the first n that ndp6 gives in a pool in a mode, to containers
// with MACs as Docker makes them.
func addresses(pool netip.Prefix, mode alloc.Mode, n int) ([]netip.Addr, error) {
	taken := make(map[netip.Addr]bool, n)
	addrs := make([]netip.Addr, n)
	for i := range addrs {
		// Docker's MACs are random: so are these, and the same in each run.
		x := uint64(i+1) * 0x9e3779b97f4a7c15 >> 24
		var err error
		addrs[i], err = alloc.Pick(alloc.Request{
			Pool: pool, Mode: mode, Secret: []byte("bench"), Taken: func(a netip.Addr) bool { return taken[a] },
			MAC: inet.MAC{0x02, byte(x >> 32), byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)},
		})
		if err != nil {
			return nil, err
		}
		taken[addrs[i]] = true
	}
	return addrs, nil
}
