// Package chart draws measurements as pictures, in SVG. It is pure: the same
// figures give the same picture.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
)

// Sizes of a picture, in pixels. A character of its font takes less than advance.
const (
	width   = 760
	margin  = 16
	heading = 56
	advance = 7
)

// style is that of every picture. It has a ground of its own, so that it reads
// the same on a dark page.
const style = `<style>
text { font: 12px sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: bold }
.faint { fill: #57606a }
.grid { stroke: #d8dee4 }
.end { text-anchor: end }
.mid { text-anchor: middle }
</style>
`

// palette are the colors of series, ours first. They differ in lightness too.
func palette() []string {
	return []string{"#0b5394", "#e69138", "#6aa84f", "#a64d79", "#7f6000", "#76a5af", "#444444", "#cc0000"}
}

// canvas is a picture being drawn.
type canvas struct{ b strings.Builder }

func newCanvas(height int, title, unit string) *canvas {
	c := new(canvas)
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	c.printf("<title>%s</title>\n%s", html.EscapeString(title), style)
	c.printf(`<rect width="%d" height="%d" rx="6" fill="#ffffff"/>`+"\n", width, height)
	c.text(margin, 26, "title", title)
	c.text(margin, 44, "faint", unit)
	return c
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *canvas) text(x, y float64, class, s string) {
	c.printf(`<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(s))
}

func (c *canvas) line(x1, y1, x2, y2 float64) {
	c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>`+"\n", x1, y1, x2, y2)
}

func (c *canvas) end() string { return c.b.String() + "</svg>\n" }

// scale puts values on a line of pixels.
type scale struct {
	low, high float64 // values at from and to
	from, to  float64
	log       bool
}

// newScale has room for all values. One by powers of ten begins below the
// smallest, another at 0. Values that it cannot show are not regarded.
func newScale(values []float64, from, to float64, log bool) scale {
	s := scale{from: from, to: to, log: log}
	smallest := math.Inf(1)
	for _, v := range values {
		if !shown(v) {
			continue
		}
		s.high = max(s.high, v)
		if v > 0 {
			smallest = min(smallest, v)
		}
	}
	if s.high == 0 {
		s.high, smallest = 1, 1
	}
	if log {
		s.low = math.Pow(10, math.Floor(math.Log10(smallest)-0.2))
		s.high = max(s.high, 10*s.low)
	}
	return s
}

// shown tells values that have a place.
func shown(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// at is the place of a value. What is below the scale is at its beginning.
func (s scale) at(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log {
		share = math.Log(max(v, s.low)/s.low) / math.Log(s.high/s.low)
	}
	return s.from + max(share, 0)*(s.to-s.from)
}

// ticks are the values to name: powers of ten, or some five round numbers.
func (s scale) ticks() []float64 {
	var all []float64
	if s.log {
		for v := s.low; v <= s.high*1.0001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10(s.high/4)))
	for _, f := range []float64{5, 2} {
		if f*step*3 <= s.high {
			step *= f
			break
		}
	}
	for i := 0; float64(i)*step <= s.high*1.0001; i++ {
		all = append(all, float64(i)*step)
	}
	return all
}

// number is a value at an axis.
func number(v float64) string { return strings.TrimSuffix(sheet.Number(v), ".0") }
