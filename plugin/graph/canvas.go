package graph

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ndp6/ndp6/plugin/report"
)

// A box is a rectangle, in pixels.
type box struct{ x, y, w, h int }

// A font is a class of text and what a character of it takes at most, in
// hundredths of a pixel. Names and addresses are in monospaced fonts, whose
// widths are known everywhere; the others hold words of ours.
type font struct {
	class   string
	advance int
	prose   bool // is cut at its end, names in their middle
}

// fonts are those of the picture. Monospaced ones take 0.602 em.
type fonts struct{ title, name, strong, mono, chip, label, small font }

func theFonts() fonts {
	return fonts{
		title:  font{"title", 965, false}, // mono bold 16
		name:   font{"name", 785, false},  // mono bold 13
		strong: font{"strong", 760, true}, // sans bold 12
		mono:   font{"mono", 665, false},  // mono 11
		chip:   font{"chip", 635, false},  // mono 10.5
		label:  font{"label", 720, true},  // sans 12
		small:  font{"small", 665, true},  // sans 11
	}
}

// fits returns how many characters fit into w.
func (f font) fits(w int) int { return w * 100 / f.advance }

// width returns what s takes.
func (f font) width(s string) int { return (utf8.RuneCountInString(s)*f.advance + 99) / 100 }

// A canvas is an SVG being written.
type canvas struct{ b strings.Builder }

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

// group begins a group; end ends it.
func (c *canvas) group(class string) { c.printf("<g class=%q>\n", class) }

func (c *canvas) end() { c.printf("</g>\n") }

func (c *canvas) rect(class string, b box, radius int) {
	c.printf("<rect class=%q x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n", class, b.x, b.y, b.w, b.h, radius)
}

// square is a small rect that says what it is where a mouse points at it.
func (c *canvas) square(class string, b box, tip string) {
	c.printf("<rect class=%q x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"><title>%s</title></rect>\n",
		class, b.x, b.y, b.w, b.h, escape(tip))
}

func (c *canvas) circle(class string, x, y, radius int) {
	c.printf("<circle class=%q cx=\"%d\" cy=\"%d\" r=\"%d\"/>\n", class, x, y, radius)
}

func (c *canvas) path(class, format string, args ...any) {
	c.printf("<path class=%q d=\"%s\"/>\n", class, fmt.Sprintf(format, args...))
}

// text writes s in at most w pixels, on a baseline, and returns what it takes.
func (c *canvas) text(f font, more string, x, y, w int, s string) int {
	if f.prose {
		s = clip(s, f.fits(w))
	} else {
		s = report.Fit(s, f.fits(w))
	}
	c.printf("<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", strings.TrimSpace(f.class+" "+more), x, y, escape(s))
	return f.width(s)
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// textEnd is text in the background that ends at x.
func (c *canvas) textEnd(f font, x, y, w int, s string) {
	c.text(f, "dim end", x, y, w, s)
}

// textMid is text around x.
func (c *canvas) textMid(f font, more string, x, y, w int, s string) {
	c.text(f, more+" mid", x, y, w, s)
}

// escape is s as text or an attribute of XML. What XML cannot hold is replaced.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // A Builder takes everything.
	return b.String()
}
