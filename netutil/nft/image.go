package nft

import (
	"fmt"
	"slices"
	"strings"
)

// imageBuilder collects lines that say all about a table that matters, but for
// elements. Tables are the same when their images are, whether read back or
// about to be made.
type imageBuilder struct{ lines []string }

func (b *imageBuilder) add(format string, args ...any) {
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func (b *imageBuilder) counter(name string) { b.add("counter %s", name) }

func (b *imageBuilder) set(s setShape) { b.add("set %+v", s) }

func (b *imageBuilder) chain(c chainShape) { b.add("chain %+v", c) }

func (b *imageBuilder) rule(chain string, i int, text string) {
	b.add("rule %s %d %s", chain, i, text)
}

// String returns the image.
func (b *imageBuilder) String() string {
	slices.Sort(b.lines)
	return strings.Join(b.lines, "\n")
}
