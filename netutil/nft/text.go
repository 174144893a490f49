package nft

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String returns the ruleset in nft's syntax; equal texts mean equal rulesets.
func (r Ruleset) String() string {
	var b strings.Builder
	r.writeTables(&b)
	for _, owner := range slices.Sorted(maps.Keys(r.Groups)) {
		fmt.Fprintf(&b, "# %s:\n%s", owner, r.Groups[owner])
	}
	return b.String()
}

// writeTables writes everything but the groups.
func (r Ruleset) writeTables(b *strings.Builder) {
	for _, t := range r.Tables {
		t.write(b)
	}
	if r.Beside != nil {
		b.WriteString("# beside filter FORWARD chains of others, instead:\n")
		for _, t := range r.Beside {
			t.write(b)
		}
	}
	if len(r.Accept) > 0 {
		fmt.Fprintf(b, "# last in ip and ip6 filter FORWARD, and for established flows behind DOCKER-USER:\n%s comment %q\n", r.Accept, Owner)
	}
}

// String returns the table in nft's syntax.
func (t Table) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Table) write(b *strings.Builder) {
	b.WriteString("table " + string(t.Family) + " " + Owner + " {\n")
	gap := ""
	for _, c := range t.Counters {
		b.WriteString(gap + "\tcounter " + c + " {\n\t}\n")
		gap = "\n"
	}
	for _, s := range t.Sets {
		b.WriteString(gap)
		s.write(b)
		gap = "\n"
	}
	for _, c := range t.Chains {
		b.WriteString(gap)
		c.write(b, t.Family)
		gap = "\n"
	}
	b.WriteString("}\n")
}

func (s Set) write(b *strings.Builder) {
	kind, data := "set", ""
	if s.Data != nil {
		kind, data = "map", " : "+join(s.Data, " . ")
	}
	b.WriteString("\t" + kind + " " + s.Name + " {\n\t\ttype " + join(s.Type, " . ") + data + "\n")
	if s.Interval {
		b.WriteString("\t\tflags interval\n")
	}
	if len(s.Elements) > 0 {
		b.WriteString("\t\telements = { ")
		for i, e := range s.Elements {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e.text(len(s.Type)))
		}
		b.WriteString(" }\n")
	}
	b.WriteString("\t}\n")
}

func (c Chain) write(b *strings.Builder, f Family) {
	b.WriteString("\tchain " + c.Name + " {\n")
	if c.Hook != nil {
		b.WriteString("\t\t" + c.Hook.text(f) + "\n")
	}
	for _, r := range c.Rules {
		b.WriteString("\t\t" + r.String() + "\n")
	}
	b.WriteString("\t}\n")
}

// text returns the element as nft prints it, its key of n parts.
func (e Element) text(n int) string {
	if n >= len(e) {
		return join(e, " . ")
	}
	return join(e[:n], " . ") + " : " + join(e[n:], " . ")
}

// String returns the element's parts, those of a map's data like those of the key.
func (e Element) String() string { return join(e, " . ") }

// String returns the group as commands of nft, but for the colon before a
// map's data, of which only the set knows where it is.
func (g Group) String() string {
	var b strings.Builder
	for _, e := range g {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// String returns the element like Group.String.
func (e GroupElement) String() string {
	return fmt.Sprintf("add element %s %s %s { %s }", e.Family, Owner, e.Set, e.Element.groupText())
}

// groupText separates the data of verdict maps, which is known by its type.
func (e Element) groupText() string {
	if n := len(e) - 1; n > 0 {
		if _, ok := e[n].(Verdict); ok {
			return e.text(n)
		}
	}
	return e.String()
}

// String returns the rule as nft prints it, without counts.
func (r Rule) String() string { return join(r, " ") }

func join[T fmt.Stringer](parts []T, separator string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(p.String())
	}
	return b.String()
}
