package chart

import "github.com/ndp6/ndp6/plugin/e2e/bench/sheet"

// Bars are values side by side, each with its name.
type Bars struct {
	Title string `json:"title"`
	Unit  string `json:"unit"` // what a value is, and whether more is better
	Log   bool   `json:"log,omitempty"`
	Bars  []Bar  `json:"bars"`
}

// Bar is one of them. Ours has the first color.
type Bar struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Ours  bool    `json:"ours,omitempty"`
}

const (
	barStep   = 28
	barHeight = 18
)

// SVG draws the bars, from the first at the top, with their values.
func (b Bars) SVG() string {
	unit := b.Unit
	if b.Log {
		unit += " (each line is ten times the one before)"
	}
	c := newCanvas(heading+len(b.Bars)*barStep+36, b.Title, unit)
	label, values := 0, make([]float64, 0, len(b.Bars))
	for _, bar := range b.Bars {
		label = max(label, advance*len([]rune(bar.Name)))
		values = append(values, bar.Value)
	}
	left := float64(margin + label + 8)
	s := newScale(values, left, width-margin-70, b.Log)
	bottom := float64(heading + len(b.Bars)*barStep + 6)
	for _, v := range s.ticks() {
		c.line(s.at(v), heading, s.at(v), bottom)
		c.text(s.at(v), bottom+16, "faint mid", number(v))
	}
	for i, bar := range b.Bars {
		y := float64(heading + i*barStep + (barStep-barHeight)/2)
		c.text(left-8, y+13, "end", bar.Name)
		if !shown(bar.Value) {
			c.text(left+6, y+13, "faint", "not measured")
			continue
		}
		color := palette()[1]
		if bar.Ours {
			color = palette()[0]
		}
		c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, max(s.at(bar.Value)-left, 1), barHeight, color)
		c.text(s.at(bar.Value)+6, y+13, "", sheet.Number(bar.Value))
	}
	return c.end()
}
