package graph

import (
	"fmt"
	"io"
	"strings"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
)

// The columns of the picture: what is outside, then in the host's frame the
// uplinks, the wires, and the networks.
const (
	pageWidth  = 1336
	margin     = 24
	globeX     = margin + 34
	frameX     = 128
	frameTop   = 84
	frameWidth = pageWidth - margin - frameX
	sideX      = frameX + 24
	sideWidth  = 256
	sideRight  = sideX + sideWidth
	cardX      = sideRight + 72
	cardWidth  = frameX + frameWidth - 24 - cardX
	top        = frameTop + 40 // of both columns
	gap        = 18            // between boxes
	bend       = 10            // radius of a wire's corners
	wireStep   = 9             // between the wires of two uplinks

	uplinkHeight = 58
)

// A painter paints one topology.
type painter struct {
	canvas
	fonts
	topology
	status admin.Status
}

// SVG draws s as one SVG document, for light and dark pages.
func SVG(w io.Writer, s admin.Status) error {
	p := &painter{fonts: theFonts(), topology: build(s), status: s}
	// The height is known when everything is painted.
	body := &painter{fonts: p.fonts, topology: p.topology, status: s}
	bottom := max(body.left(), body.cards()) + margin
	p.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n",
		pageWidth, bottom+margin, pageWidth, bottom+margin)
	p.printf("<title>ndp6: %s</title>\n<style>\n%s</style>\n", escape(p.summary()), style())
	p.rect("page", box{0, 0, pageWidth, bottom + margin}, 0)
	p.header()
	if len(p.uplinks) > 0 {
		p.globe(uplinkY(0))
	}
	p.group("host")
	p.rect("frame", box{frameX, frameTop, frameWidth, bottom - frameTop}, 14)
	p.text(p.strong, "dim", sideX, frameTop+25, sideWidth, "this host")
	p.printf("%s", body.b.String())
	p.end()
	p.printf("</svg>\n")
	_, err := io.WriteString(w, p.b.String())
	return err
}

// summary is the topology in a line.
func (t topology) summary() string {
	return strings.Join([]string{
		report.Count(len(t.networks), "network", "networks"),
		report.Count(t.size, "endpoint", "endpoints"),
		report.Count(t.entries, "proxy entry", "proxy entries"),
	}, " · ")
}

// header is the line above the frame: what, how many, how well.
func (p *painter) header() {
	const y = 52
	p.printf("<text class=\"brand\" x=\"%d\" y=\"%d\">ndp6</text>\n", margin, y)
	x := frameX + p.text(p.label, "dim", frameX, y, 420, p.summary()) + 12
	for _, t := range p.states {
		text := fmt.Sprintf("%d %s", t.n, word(t.state))
		p.circle("dot "+word(t.state), x+6, y-4, 4)
		x += 16 + p.text(p.label, "dim", x+16, y, 200, text) + 12
	}
	verdict, class := "healthy", "good"
	if n := p.status.Findings(); n > 0 {
		verdict, class = report.Count(n, "finding", "findings"), "bad"
	}
	right := pageWidth - margin
	width := p.strong.width(verdict) + 20
	p.group("verdict")
	p.rect("badge "+class, box{right - width, y - 18, width, 26}, 13)
	p.textMid(p.strong, "in "+class, right-width/2, y, width, verdict)
	p.end()
	if !p.status.Time.IsZero() {
		p.textEnd(p.small, right-width-12, y, 200, p.status.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
}

// left paints the left column and returns where it ends.
func (p *painter) left() int {
	for i, u := range p.uplinks {
		p.towards(i, u)
	}
	y := uplinkY(len(p.uplinks)) - uplinkHeight/2
	var ports, drops []string
	for _, h := range p.ports {
		ports = append(ports, fmt.Sprintf("%s/%s → %s:%d", h.host, h.proto, h.to, h.port))
	}
	for _, d := range p.status.Drops {
		drops = append(drops, fmt.Sprintf("%d %s", d.Packets, d.Reason))
	}
	y = p.list(y, "host ports", "host", ports)
	y = p.list(y, "dropped packets", "bad", drops)
	return p.list(y, "drift, to be repaired", "bad", p.status.Drift)
}

// towards paints an uplink and its link to what is outside.
func (p *painter) towards(i int, u uplink) {
	center := uplinkY(i)
	b := box{sideX, center - uplinkHeight/2, sideWidth, uplinkHeight}
	answers := "no proxy entries"
	if u.entries > 0 {
		answers = "answers for " + report.Count(u.entries, "address", "addresses")
	}
	p.group("towards")
	p.rect("uplink", b, 8)
	p.text(p.title, "", b.x+16, b.y+25, 180, u.name)
	p.textEnd(p.small, b.x+b.w-16, b.y+25, 60, "uplink")
	p.text(p.small, "dim", b.x+16, b.y+45, b.w-32, answers)
	p.end()
	if i == 0 {
		p.path("link", "M%d,%d H%d", globeX+28, center, sideX)
		return
	}
	first, trunk := uplinkY(0), frameX-12 // It branches off the first one's.
	p.path("link", "M%d,%d Q%d,%d %d,%d V%d Q%d,%d %d,%d H%d", trunk-bend, first, trunk, first, trunk, first+bend,
		center-bend, trunk, center, trunk+bend, center, sideX)
}

// uplinkY is the height at which the wires of an uplink are.
func uplinkY(i int) int { return top + uplinkHeight/2 + i*(uplinkHeight+gap) }

// globe is what is beyond the host.
func (p *painter) globe(y int) {
	p.circle("globe", globeX, y, 26)
	p.printf("<ellipse class=\"meridian\" cx=\"%d\" cy=\"%d\" rx=\"11\" ry=\"26\"/>\n", globeX, y)
	p.path("meridian", "M%d,%d H%d M%d,%d H%d M%d,%d H%d", globeX-26, y, globeX+26,
		globeX-22, y-13, globeX+22, globeX-22, y+13, globeX+22)
	p.textMid(p.small, "dim", globeX, y+44, 80, "outside")
}

// list paints lines below the uplinks, if any, and returns where the next list begins.
func (p *painter) list(y int, title, class string, lines []string) int {
	const most, step = 16, 17
	if len(lines) == 0 {
		return y
	}
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", more))
	}
	b := box{sideX, y, sideWidth, 36 + len(lines)*step + 8}
	p.group("list")
	p.rect("side", b, 8)
	p.circle("dot "+class, b.x+20, b.y+19, 4)
	p.text(p.strong, "", b.x+32, b.y+23, b.w-48, title)
	for i, line := range lines {
		p.text(p.chip, "", b.x+16, b.y+45+i*step, b.w-28, line)
	}
	p.end()
	return y + b.h + gap
}

// cards paints the networks with their wires and returns where they end.
func (p *painter) cards() int {
	y := top
	if len(p.networks) == 0 {
		p.text(p.label, "dim", cardX, y+24, cardWidth, "no networks")
		return y + 60
	}
	for _, n := range p.networks {
		if n.uplink >= 0 {
			p.wire(n, y+uplinkHeight/2)
		}
		y += p.card(n, y) + gap
	}
	return y
}

// wire leads from a network's uplink to its card at y.
func (p *painter) wire(n network, y int) {
	from := uplinkY(n.uplink)
	x := sideRight + 20 + n.uplink%5*wireStep
	class := "wire " + n.mode()
	switch down := y - from; {
	case down > 2*bend || down < -2*bend:
		turn := bend
		if down < 0 {
			turn = -bend
		}
		p.path(class, "M%d,%d H%d Q%d,%d %d,%d V%d Q%d,%d %d,%d H%d", sideRight, from, x-bend, x, from, x, from+turn,
			y-turn, x, y, x+bend, y, cardX)
	default:
		p.path(class, "M%d,%d C%d,%d %d,%d %d,%d", sideRight, from, x, from, x, y, cardX, y)
	}
}
