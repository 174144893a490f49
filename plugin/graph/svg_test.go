package graph_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ndp6/ndp6/plugin/graph"
)

type box struct{ x, y, w, h float64 }

func (b box) contains(o box) bool {
	return b.x <= o.x && b.y <= o.y && o.x+o.w <= b.x+b.w && o.y+o.h <= b.y+b.h
}

func (b box) disjoint(o box) bool {
	return b.x+b.w <= o.x || o.x+o.w <= b.x || b.y+b.h <= o.y || o.y+o.h <= b.y
}

// A piece is a rect or a text of a picture. Around is the rect of the group
// that it is in.
type piece struct {
	class, text string
	at, around  box
}

// A picture is what a parsed SVG holds.
type picture struct {
	view         box
	rects, texts []piece
	points       [][2]float64 // of circles and paths
}

// parse reads a picture; a document that is not well-formed is an error.
func parse(t *testing.T, svg string) picture {
	t.Helper()
	var p picture
	dec := xml.NewDecoder(strings.NewReader(svg))
	groups := []box{{}}
	open := ""
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			a := attributes(e)
			open = e.Name.Local
			at := box{number(a["x"]), number(a["y"]), number(a["width"]), number(a["height"])}
			switch open {
			case "svg":
				if _, err := fmt.Sscanf(a["viewBox"], "%f %f %f %f", &p.view.x, &p.view.y, &p.view.w, &p.view.h); err != nil {
					t.Fatal(err)
				}
				groups[0] = p.view
			case "g":
				groups = append(groups, box{})
			case "rect":
				if groups[len(groups)-1] == (box{}) {
					groups[len(groups)-1] = at // the first one of a group is around the rest
				}
				p.rects = append(p.rects, piece{class: a["class"], at: at, around: groups[len(groups)-1]})
			case "text":
				p.texts = append(p.texts, piece{class: a["class"], at: at, around: groups[len(groups)-1]})
			case "circle", "ellipse":
				x, y, rx, ry := number(a["cx"]), number(a["cy"]), number(a["r"]+a["rx"]), number(a["r"]+a["ry"])
				p.points = append(p.points, [2]float64{x - rx, y - ry}, [2]float64{x + rx, y + ry})
			case "path":
				p.points = append(p.points, points(a["d"])...)
			}
		case xml.CharData:
			if open == "text" {
				p.texts[len(p.texts)-1].text += string(e)
			}
		case xml.EndElement:
			if open = ""; e.Name.Local == "g" {
				groups = groups[:len(groups)-1]
			}
		}
	}
}

func attributes(e xml.StartElement) map[string]string {
	a := make(map[string]string)
	for _, attr := range e.Attr {
		a[attr.Name.Local] = attr.Value
	}
	return a
}

func number(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// points are those that a path goes through or is bent towards.
func points(d string) [][2]float64 {
	var ps [][2]float64
	at := [2]float64{}
	for _, m := range regexp.MustCompile(`([HV])(-?\d+)|(-?\d+),(-?\d+)`).FindAllStringSubmatch(d, -1) {
		switch m[1] {
		case "H":
			at[0] = number(m[2])
		case "V":
			at[1] = number(m[2])
		default:
			at = [2]float64{number(m[3]), number(m[4])}
		}
		ps = append(ps, at)
	}
	return ps
}

// extent is what a text takes where a monospaced character takes 0.605 em; of
// other fonts only the browser knows.
func (p piece) extent() (box, bool) {
	sizes := map[string]float64{"title": 16, "name": 13, "mono": 11, "chip": 10.5}
	classes := strings.Fields(p.class)
	size, ok := sizes[classes[0]]
	w := 0.605 * size * float64(utf8.RuneCountInString(p.text))
	b := box{p.at.x, p.at.y - size, w, size * 1.25}
	if slices.Contains(classes, "end") {
		b.x -= w
	}
	return b, ok
}

func TestLayout(t *testing.T) {
	for _, c := range crowds() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.status()
			p := parse(t, draw(t, graph.SVG, s))
			for i, a := range p.rects {
				if !p.view.contains(a.at) || !a.around.contains(a.at) {
					t.Errorf("%s at %v is not inside %v", a.class, a.at, a.around)
				}
				for _, b := range p.rects[:i] {
					if !a.at.disjoint(b.at) && !a.at.contains(b.at) && !b.at.contains(a.at) {
						t.Errorf("%s at %v overlaps %s at %v", a.class, a.at, b.class, b.at)
					}
					// Of two that are inside one another, one is what the other is drawn on.
					if kind(a.class) == kind(b.class) && !a.at.disjoint(b.at) {
						t.Errorf("two of %s overlap, at %v and %v", a.class, a.at, b.at)
					}
				}
			}
			for _, text := range p.texts {
				if at, ok := text.extent(); ok && !text.around.contains(at) {
					t.Errorf("%q at %v is not inside %v", text.text, at, text.around)
				}
			}
			for _, point := range p.points {
				if !p.view.contains(box{x: point[0], y: point[1]}) {
					t.Errorf("something is at %v, outside the picture %v", point, p.view)
				}
			}
			titles := make(map[string]bool)
			for _, text := range p.texts {
				titles[text.text] = true
			}
			for _, n := range s.Networks {
				if !c.long && !titles[n.Name] {
					t.Errorf("network %s is not shown", n.Name)
				}
			}
			cards := 0
			for _, r := range p.rects {
				if r.class == "card" {
					cards++
				}
			}
			if cards != len(s.Networks) {
				t.Errorf("%d networks are shown, want %d", cards, len(s.Networks))
			}
			if p.view.h > 500+130*float64(len(s.Networks))+200*float64(min(len(s.Endpoints), 80)) {
				t.Errorf("the picture is %v high", p.view.h)
			}
		})
	}
}

// kind is the first class.
func kind(class string) string {
	first, _, _ := strings.Cut(class, " ")
	return first
}

// TestHostileNames: what others chose cannot become part of the document.
func TestHostileNames(t *testing.T) {
	s := crowd{networks: 1, endpoints: 1}.status()
	const name = `</text><script>"'&#0;` + "\x00\x1b\xff"
	s.Networks[0].Name, s.Endpoints[0].Name, s.Networks[0].Bridge = name, name, name
	s.Networks[0].Mode, s.Endpoints[0].State = `"><script>`, `"><script>`
	svg := draw(t, graph.SVG, s)
	if strings.Contains(svg, "<script") {
		t.Error("the picture has a script")
	}
	parse(t, svg)
}
