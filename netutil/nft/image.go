package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
)

// imageBuilder collects lines that say all about a table that matters. Tables
// are the same when their images are, whether read back or about to be made.
type imageBuilder struct{ lines []string }

func (b *imageBuilder) add(format string, args ...any) {
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func (b *imageBuilder) table(t *nftables.Table) { b.add("table flags %d", t.Flags) }

func (b *imageBuilder) chain(c *nftables.Chain) {
	if c.Hooknum == nil || c.Priority == nil || c.Policy == nil {
		b.add("chain %s", c.Name)
		return
	}
	b.add("chain %s type %s hook %d priority %d policy %d", c.Name, c.Type, *c.Hooknum, *c.Priority, *c.Policy)
}

func (b *imageBuilder) rule(chain string, i int, text string) {
	b.add("rule %s %d %s", chain, i, text)
}

func (b *imageBuilder) set(s *nftables.Set) {
	b.add("set %s type %s map %t interval %t timeout %t", s.Name, s.KeyType.Name, s.IsMap, s.Interval, s.HasTimeout)
}

func (b *imageBuilder) elements(set string, elements []nftables.SetElement) {
	for _, e := range elements {
		b.add("element %s %x-%x end %t", set, e.Key, e.KeyEnd, e.IntervalEnd)
	}
}

func (b *imageBuilder) image() []string {
	slices.Sort(b.lines)
	return b.lines
}

// is reports whether image is what the table would read back as.
func (t *kernelTable) is(image []string) (bool, error) {
	var b imageBuilder
	b.table(t.table)
	for _, c := range t.chains {
		b.chain(c)
		for i, exprs := range t.rules[c.Name] {
			text, err := ruleText(byte(t.table.Family), exprs)
			if err != nil {
				return false, fmt.Errorf("chain %s: %w", c.Name, err)
			}
			b.rule(c.Name, i, text)
		}
	}
	for _, s := range t.sets {
		b.set(s)
		b.elements(s.Name, t.elements[s.Name])
	}
	return slices.Equal(b.image(), image), nil
}
