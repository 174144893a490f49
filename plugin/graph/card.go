package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/plugin/report"
)

const (
	pad     = 18 // of a card
	inner   = cardWidth - 2*pad
	tileGap = 12
	tilePad = 12
	line    = 17 // of addresses and pools
	// mostAddrs and mostChips are how many an endpoint shows.
	mostAddrs = 5
	mostRows  = 2
	chipH     = 19
	chipRow   = chipH + 5
	chipPad   = 16
	// cell is what a square of a group takes, and mostSquares how many there
	// are: beyond, a square stands for several endpoints.
	cell        = 18
	mostSquares = inner / cell * 20
)

// card paints a network at y and returns its height. What is in it is painted
// first, because the card is as high as that.
func (p *painter) card(n network, y int) int {
	c := &painter{fonts: p.fonts}
	bottom := c.cardHead(n, y)
	bottom = c.tiles(n, bottom)
	bottom = c.squares(n, bottom)
	h := bottom + 6 - y
	p.group("network")
	p.rect("card", box{cardX, y, cardWidth, h}, 10)
	p.rect("stripe "+n.mode(), box{cardX, y + 12, 4, h - 24}, 2)
	p.printf("%s", c.b.String())
	p.end()
	return h
}

// cardHead paints name, mode, pools and notes, and returns where they end.
func (p *painter) cardHead(n network, y int) int {
	x := cardX + pad
	x += p.text(p.title, "", x, y+29, 320, n.title) + 12
	x = p.badge(x, y+14, n.mode(), n.mode())
	if n.Inbound == "open" {
		p.badge(x+8, y+14, "nat", "open")
	}
	right := cardX + cardWidth - pad
	p.textEnd(p.mono, right, y+29, 160, n.Bridge)
	y += 34
	sizes := report.Count(len(n.shown)+len(n.rest), "endpoint", "endpoints")
	if n.ProxyEntries > 0 {
		sizes += " · " + report.Count(n.ProxyEntries, "proxy entry", "proxy entries")
	}
	p.textEnd(p.small, right, y+line, 250, sizes)
	for _, pool := range n.pools() {
		y += line
		p.text(p.mono, "", cardX+pad, y, inner-250, pool)
	}
	if len(n.Pools) == 0 {
		y += line
	}
	if n.Uplink == "" && !n.Internal {
		y += line
		p.text(p.small, "in bad", cardX+pad, y, inner, "no uplink: "+n.UplinkOption)
	}
	if n.Reason != "" {
		y += line
		p.text(p.small, "dim", cardX+pad, y, inner, n.Reason)
	}
	for _, note := range n.notes[:min(len(n.notes), 3)] {
		y += line
		p.text(p.small, "in bad", cardX+pad, y, inner, note)
	}
	return y + 12
}

// badge paints a word in a tinted pill and returns where it ends.
func (p *painter) badge(x, y int, class, word string) int {
	w := p.small.width(word) + 16
	p.group("word")
	p.rect("badge "+class, box{x, y, w, 20}, 10)
	p.textMid(p.small, "in "+class, x+w/2, y+14, w, word)
	p.end()
	return x + w
}

// tiles paints the endpoints that are shown in full, and returns where they end.
func (p *painter) tiles(n network, y int) int {
	columns := 3
	for _, e := range n.shown {
		for _, l := range lines(e) {
			if p.mono.width(l.text+"  "+l.mark) > (inner-2*tileGap)/3-2*tilePad {
				columns = 2
			}
		}
	}
	w := (inner - (columns-1)*tileGap) / columns
	for row := range slices.Chunk(n.shown, columns) {
		h := 0
		for _, e := range row {
			h = max(h, p.tileHeight(e, w))
		}
		for i, e := range row {
			p.tile(e, box{cardX + pad + i*(w+tileGap), y, w, h})
		}
		y += h + tileGap
	}
	return y
}

// An addrLine is a line with an address of an endpoint.
type addrLine struct {
	text, mark string
	old        bool
}

func lines(e endpoint) []addrLine {
	var ls []addrLine
	for _, a := range e.Addresses {
		ls = append(ls, addrLine{text: a.Addr.String(), mark: mark(a), old: a.Deprecated || slices.Contains(e.Withdrawn, a.Addr)})
	}
	if more := len(ls) - mostAddrs; more > 0 {
		ls = append(ls[:mostAddrs-1], addrLine{text: fmt.Sprintf("and %d more", more+1)})
	}
	if len(ls) == 0 {
		ls = []addrLine{{text: "no address"}}
	}
	return ls
}

func (p *painter) tileHeight(e endpoint, w int) int {
	h := 34 + line*len(lines(e)) + 4
	if rows := p.chipRows(e, w); len(rows) > 0 {
		h += chipRow*len(rows) + 4
	}
	return h
}

// tile paints an endpoint.
func (p *painter) tile(e endpoint, b box) {
	p.group("endpoint")
	p.rect("tile", b, 7)
	p.circle("dot "+word(e.State), b.x+16, b.y+19, 4)
	p.text(p.name, "", b.x+28, b.y+23, b.w-28-54, e.title)
	p.textEnd(p.small, b.x+b.w-tilePad, b.y+23, 40, e.age)
	y := b.y + 26
	for _, l := range lines(e) {
		y += line
		class := ""
		if l.old {
			class = "dim old"
		}
		p.text(p.mono, class, b.x+tilePad, y, b.w-2*tilePad, l.text)
		if l.mark != "" {
			p.textEnd(p.small, b.x+b.w-tilePad, y, 70, l.mark)
		}
	}
	y += 10
	for _, row := range p.chipRows(e, b.w) {
		x := b.x + tilePad
		for _, c := range row {
			p.group("port")
			p.rect(strings.TrimSpace("chipbox "+c.class), box{x, y, p.chipWidth(c), chipH}, 5)
			p.text(p.chip, c.class, x+8, y+13, p.chipWidth(c), c.text)
			p.end()
			x += p.chipWidth(c) + 6
		}
		y += chipRow
	}
	p.end()
}

// A port is a chip of a tile.
type port struct{ text, class string }

func (p *painter) chipWidth(c port) int { return p.chip.width(c.text) + chipPad }

// chipRows are an endpoint's ports in rows; what does not fit is counted.
func (p *painter) chipRows(e endpoint, w int) [][]port {
	var all []port
	if e.Inbound == "open" {
		all = append(all, port{"open to everybody", "open"})
	}
	for _, h := range e.host {
		all = append(all, port{fmt.Sprintf("%s→%d/%s", h.host, h.port, h.proto), "host"})
	}
	for _, own := range e.opened {
		all = append(all, port{own, ""})
	}
	for i := range all {
		all[i].text = report.Fit(all[i].text, p.chip.fits(w-2*tilePad-chipPad))
	}
	for n := len(all); n > 0; n-- {
		chips := slices.Clone(all[:n])
		if left := len(all) - n; left > 0 {
			chips = append(chips, port{fmt.Sprintf("+%d", left), ""})
		}
		if rows := p.flow(chips, w-2*tilePad); len(rows) <= mostRows {
			return rows
		}
	}
	return nil
}

// flow breaks chips into rows of width w.
func (p *painter) flow(chips []port, w int) [][]port {
	var rows [][]port
	used := w + 1
	for _, c := range chips {
		if used += 6 + p.chipWidth(c); used > w {
			rows, used = append(rows, nil), p.chipWidth(c)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], c)
	}
	return rows
}

// squares paints the endpoints that are grouped, and returns where they end.
func (p *painter) squares(n network, y int) int {
	rest := n.rest
	if len(rest) == 0 {
		return y
	}
	var words []string
	for _, t := range tallies(rest) {
		words = append(words, fmt.Sprintf("%d %s", t.n, word(t.state)))
	}
	each := (len(rest) + mostSquares - 1) / mostSquares
	text := strings.Join(words, ", ")
	if len(n.shown) > 0 {
		text = fmt.Sprintf("%d more: %s", len(rest), text)
	}
	if each > 1 {
		text += fmt.Sprintf("; a square is %d", each)
	}
	p.text(p.label, "dim", cardX+pad, y+14, inner, text)
	y += 26
	i := 0
	for some := range slices.Chunk(rest, each) {
		worst := slices.MaxFunc(some, func(a, b endpoint) int { return cmp.Compare(rank(a), rank(b)) })
		tip := worst.title
		if len(worst.Addresses) > 0 {
			tip += " " + worst.Addresses[0].Addr.String()
		}
		p.square("square "+word(worst.State), box{
			cardX + pad + i%(inner/cell)*cell, y + i/(inner/cell)*cell, cell - 4, cell - 4,
		}, tip)
		i++
	}
	return y + (i+inner/cell-1)/(inner/cell)*cell + tileGap - 4
}
