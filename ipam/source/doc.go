// Package source says where a pool's prefix comes from: what may be given, and
// in which order a configured block, the uplink's on-link prefix, a prefix that
// is routed to the host and a unique local prefix are tried when none is. It is
// pure but for the interface through which it learns what the host uses.
package source
