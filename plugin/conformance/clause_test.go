package conformance_test

import (
	"fmt"
	"slices"
)

// A standard is an RFC, with those of its clauses that bind ndp6.
type standard struct {
	rfc     int
	title   string
	clauses []clause
}

// A clause is one thing that a section asks, in our words.
type clause struct {
	section, name string
	level         level
	asks          string
	// because is why no test shows it: who else does what it asks, or why ndp6
	// does otherwise. A clause has tests or a reason, never both.
	because string
}

// A level is how much a standard wants something.
type level string

const (
	must   level = "MUST"
	should level = "SHOULD"
	may    level = "MAY"
	plain  level = "" // without a word of RFC 2119
)

// An id is how a test names a clause, after "Shows ".
func (s standard) id(c clause) string { return fmt.Sprintf("RFC %d %s (%s)", s.rfc, c.section, c.name) }

func standards() []standard {
	return slices.Concat(discovery(), addresses(), filtering(), forwarding())
}

// A group is standards that ask nothing of ndp6, and why.
type group struct{ rfcs, because string }

func unbound() []group {
	return []group{
		{"4389", "A proxy that passes on what it hears between links. ndp6 passes on nothing: it is a router that answers for addresses it knows, which is RFC 4861 7.2.8."},
		{"6620, 7039, 7513", "What switches do to learn who has which address. The probe for duplicates and the announcements are what they learn from."},
		{"3704", "Checks of the way back, where there are several providers. What a container sends is checked at its port, whichever uplink it leaves by."},
		{"7721", "What identifiers tell of a host. --iid and ndp6.iid choose."},
		{"8981", "Temporary addresses are the container's own affair. The guard lets it send only from addresses that ndp6 knows."},
		{"8415, 8978, 9096, 9663, 7084", "Clients and servers of delegated prefixes. ndp6 takes a prefix that the host has, whoever got it, and follows it when it changes."},
		{"5902, 6052, 6146, 6147, 6877, 7050, 7915, 8781", "NAT66 is no standard, and opt-in or for pools that are unique local; NAT64 and DNS64 are not done."},
		{"2545, 4271, 4724, 4760, 5340, 8212", "ndp6 speaks no routing protocol. What it announces are routes of protocol 166, for a daemon that does."},
		{"1912, 2136, 3596, 8945", "ndp6 serves no names."},
		{"4364, 8754, 8986", "No segment routing, no VPN. Routing headers of containers are dropped (RFC 5095)."},
		{"9099, 9898", "Advice for operators. docs/security.md says what ndp6 promises and what not."},
	}
}
