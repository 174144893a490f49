package chart

import (
	"fmt"
	"strings"
)

// Lines are values over steps that are at equal distances, whatever they are.
type Lines struct {
	Title  string   `json:"title"`
	Unit   string   `json:"unit"` // what a value is, and whether more is better
	Log    bool     `json:"log,omitempty"`
	Steps  []string `json:"steps"`
	Axis   string   `json:"axis"` // what steps are
	Series []Series `json:"series"`
}

// Series is one line, a value for each step.
type Series struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

const plotHeight = 260

// SVG draws the lines, with their names at the right of the picture.
func (l Lines) SVG() string {
	c := newCanvas(heading+plotHeight+52, l.Title, l.Unit)
	legend := 0
	var values []float64
	for _, s := range l.Series {
		legend = max(legend, advance*len([]rune(s.Name))+24)
		values = append(values, s.Values...)
	}
	left, right := float64(margin+64), float64(width-margin-legend-12)
	y := newScale(values, heading+plotHeight, heading+6, l.Log)
	for _, v := range y.ticks() {
		c.line(left, y.at(v), right, y.at(v))
		c.text(left-8, y.at(v)+4, "faint end", number(v))
	}
	x := func(i int) float64 { return left + (float64(i)+0.5)*(right-left)/float64(len(l.Steps)) }
	for i, step := range l.Steps {
		c.text(x(i), heading+plotHeight+18, "mid", step)
	}
	c.text((left+right)/2, heading+plotHeight+38, "faint mid", l.Axis)
	for i, s := range l.Series {
		color := palette()[i%len(palette())]
		var points []string
		for j, v := range s.Values {
			if !shown(v) {
				continue
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(j), y.at(v)))
			c.printf(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x(j), y.at(v), color)
		}
		c.printf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), color)
		at := float64(heading + 12 + 20*i)
		c.printf(`<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/>`+"\n", right+12, at-10, color)
		c.text(right+30, at, "", s.Name)
	}
	return c.end()
}
