// Package plan says what the kernel of a host should hold. It is pure: the
// same records and uplinks give the same Host, and two Hosts give the
// operations that lead from one to the other.
//
// It does not observe or change anything; driver/reconcile does both.
package plan
