// Package inet is arithmetic on MACs, addresses and prefixes. It is pure: it
// knows no kernel and no network.
package inet
