// Package ipam answers libnetwork's IPAM calls with pools and leases.
//
// A pool is a prefix that is lent to one network; it outlives the host's boot. A
// lease is an address of an endpoint; it is true for one boot. Both are records
// of a store, held in memory as well, so that a call costs the same with ten
// leases and with ten thousand.
//
// IPAM learns little: neither which network a pool is for, nor which container
// asks. What follows from that is said where it is decided:
//
//   - replay.go: after dockerd restarts it asks again for what it has, and must
//     be told the same;
//   - keep.go: an address without a MAC is an auxiliary address or a replayed
//     endpoint;
//   - pair.go: dockerd forgets an endpoint's IPv4 address when its IPv6 request
//     is refused.
package ipam
