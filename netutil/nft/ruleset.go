// Package nft keeps ndp6's nftables rules in the kernel: a Ruleset says what
// should be there, and a Conn makes it so in one transaction at a time, and
// keeps it so.
//
// Everything of ours is named Owner: our tables by their name, our rules
// in other people's chains by their comment. Nothing else is ever changed.
// No command is run; the package speaks netlink.
package nft

// Owner is the name of every table and the comment of every rule of ours.
const Owner = "ndp6"

// Ruleset is all that should be in nftables of ours. The zero Ruleset is
// nothing: applying it leaves no trace. It must not be changed once a Conn
// has it.
type Ruleset struct {
	Tables []Table

	// Beside replaces Tables where somebody else filters forwarded packets:
	// where ip or ip6 has a filter FORWARD chain, or SetForeign says so.
	// Nil is the same as Tables.
	Beside []Table

	// Accept is appended to the filter FORWARD chains that iptables and
	// ip6tables (nft variant) made, where they exist, and kept last there.
	// An accept in a table of ours cannot undo a drop in those chains. Behind
	// Docker's jump to DOCKER-USER there is another that does so for established
	// flows alone. Its first statement says which packets; without statements
	// there are no such rules.
	Accept Rule

	// Groups are elements by who needs them, on top of the sets' own.
	Groups map[string]Group
}

// Family is the address family of a table.
type Family string

// The families.
const (
	Inet   Family = "inet"   // sees routed IPv4 and IPv6
	Bridge Family = "bridge" // sees the frames of bridges
)

// Table is a table named Owner. Applying it replaces the table as a whole,
// but for the counts of its Counters.
type Table struct {
	Family   Family
	Counters []string // named counters, for CountIn
	Sets     []Set
	Chains   []Chain
}

// Set is a named set or map. All that varies belongs into sets, so that rules
// do not.
type Set struct {
	Name     string
	Type     []Type // of each part of a key
	Data     []Type // of each part of what a key maps to; nil: not a map
	Interval bool   // elements are prefixes, which must not overlap
	Elements []Element
}

// Element is an element of a set, with one value for each of the set's types,
// then one for each type of its data.
type Element []Value

// Group is all elements that one owner needs. No element may be in two groups
// with different data. A Group must not be changed once a Conn has it.
type Group []GroupElement

// GroupElement is an element and the set that it is in.
type GroupElement struct {
	Family  Family
	Set     string
	Element Element
}

// Chain is a chain of rules. One with a Hook sees packets by itself.
type Chain struct {
	Name  string
	Hook  *Hook
	Rules []Rule
}

// Rule is a list of statements. The first that does not match ends it.
type Rule []Statement
