// Package nft keeps ndp6's nftables rules in the kernel: a Ruleset says what
// should be there, and a Conn makes it so in one transaction at a time.
//
// Everything of ours is named Owner: our tables by their name, the one rule
// in other people's chains by its comment. Nothing else is ever changed.
// No command is run; the package speaks netlink.
package nft

import (
	"fmt"
	"strings"
)

// Owner is the name of every table and the comment of every rule of ours.
const Owner = "ndp6"

// Ruleset is all that should be in nftables of ours. The zero Ruleset is
// nothing: applying it leaves no trace.
type Ruleset struct {
	Tables []Table

	// Accept is appended to the filter FORWARD chains that iptables and
	// ip6tables (nft variant) made, where they exist, and kept last there.
	// An accept in a table of ours cannot undo a drop in those chains.
	// Without statements there is no such rule.
	Accept Rule
}

// Family is the address family of a table.
type Family string

// Inet tables see IPv4 and IPv6.
const Inet Family = "inet"

// Table is a table named Owner. Applying it replaces the table as a whole.
type Table struct {
	Family Family
	Sets   []Set
	Chains []Chain
}

// Set is a named set. All that varies belongs into sets, so that rules do not.
type Set struct {
	Name     string
	Type     []Type // of each part of an element
	Interval bool   // elements are prefixes, which must not overlap
	Elements []Element
}

// Element is an element of a set, with one value for each of the set's types.
type Element []Value

// Chain is a chain of rules. One with a Hook sees packets by itself.
type Chain struct {
	Name  string
	Hook  *Hook
	Rules []Rule
}

// Rule is a list of statements. The first that does not match ends it.
type Rule []Statement

// String returns the ruleset in nft's syntax; equal texts mean equal rulesets.
func (r Ruleset) String() string {
	var b strings.Builder
	for _, t := range r.Tables {
		t.write(&b)
	}
	if len(r.Accept) > 0 {
		fmt.Fprintf(&b, "# last in ip and ip6 filter FORWARD:\n%s comment %q\n", r.Accept, Owner)
	}
	return b.String()
}

func (t Table) write(b *strings.Builder) {
	fmt.Fprintf(b, "table %s %s {\n", t.Family, Owner)
	gap := ""
	for _, s := range t.Sets {
		b.WriteString(gap)
		s.write(b)
		gap = "\n"
	}
	for _, c := range t.Chains {
		b.WriteString(gap)
		c.write(b)
		gap = "\n"
	}
	b.WriteString("}\n")
}

func (s Set) write(b *strings.Builder) {
	fmt.Fprintf(b, "\tset %s {\n\t\ttype %s\n", s.Name, join(s.Type, " . "))
	if s.Interval {
		b.WriteString("\t\tflags interval\n")
	}
	if len(s.Elements) > 0 {
		fmt.Fprintf(b, "\t\telements = { %s }\n", join(s.Elements, ", "))
	}
	b.WriteString("\t}\n")
}

func (c Chain) write(b *strings.Builder) {
	fmt.Fprintf(b, "\tchain %s {\n", c.Name)
	if c.Hook != nil {
		fmt.Fprintf(b, "\t\t%s\n", c.Hook)
	}
	for _, r := range c.Rules {
		fmt.Fprintf(b, "\t\t%s\n", r)
	}
	b.WriteString("\t}\n")
}

// String returns the element as nft prints it.
func (e Element) String() string { return join(e, " . ") }

// String returns the rule as nft prints it, without counts.
func (r Rule) String() string { return join(r, " ") }

func join[T fmt.Stringer](parts []T, separator string) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.String()
	}
	return strings.Join(texts, separator)
}
