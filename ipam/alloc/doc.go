// Package alloc picks an address in a prefix. It is pure: what is in use, the
// secret and the place to go on from come from the caller, and the same request
// gives the same address.
package alloc
