package graph

import (
	"fmt"
	"strings"
)

// A palette is the colors of a picture, for a light or a dark page.
type palette struct {
	page, frame, card, tile, line, text, dim        string
	blue, green, amber, purple, red, gray, inverted string
}

func light() palette {
	return palette{
		page: "#ffffff", frame: "#f4f6f9", card: "#ffffff", tile: "#f7f9fb", line: "#d3dae2", text: "#1b2430", dim: "#5b6775",
		blue: "#0a66d0", green: "#1a7f43", amber: "#95610a", purple: "#7a48d6", red: "#cc2436", gray: "#64707e", inverted: "#ffffff",
	}
}

func dark() palette {
	return palette{
		page: "#0d1117", frame: "#11171f", card: "#171e27", tile: "#1d2530", line: "#323c49", text: "#e6ebf1", dim: "#99a4b1",
		blue: "#58a6ff", green: "#46c36b", amber: "#dba63a", purple: "#b48cff", red: "#ff6b64", gray: "#8a95a3", inverted: "#0d1117",
	}
}

// rules are the style of classes in these colors.
func (p palette) rules() string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	add(".page{fill:%s}.frame{fill:%s;stroke:%s}", p.page, p.frame, p.line)
	add(".card,.side,.uplink{fill:%s;stroke:%s}.tile{fill:%s;stroke:%s}", p.card, p.line, p.tile, p.line)
	add("text{fill:%s}.dim{fill:%s}.link{fill:none;stroke:%s}", p.text, p.dim, p.blue)
	add(".chipbox{fill:none;stroke:%s}.chipbox.host{fill:%s;stroke:%s}text.host{fill:%s}", p.gray, p.blue, p.blue, p.inverted)
	add(".chipbox.open{stroke:%s}text.open{fill:%s}", p.amber, p.amber)
	add(".globe{fill:%s;stroke:%s}.meridian{fill:none;stroke:%s}", p.card, p.blue, p.blue)
	for _, c := range []struct{ classes, color string }{
		{"routed running good", p.green},
		{"nat starting", p.amber},
		{"nptv6", p.purple},
		{"host", p.blue},
		{"internal isolated created unknown", p.gray},
		{"failing withdrawn bad", p.red},
	} {
		for class := range strings.FieldsSeq(c.classes) {
			add(".dot.%[1]s,.square.%[1]s,.stripe.%[1]s{fill:%[2]s}.wire.%[1]s{stroke:%[2]s}.badge.%[1]s{fill:%[2]s}text.in.%[1]s{fill:%[2]s}", class, c.color)
		}
	}
	return b.String()
}

// style is that of the picture: light, or dark where the page is.
func style() string {
	const mono = `ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace`
	const sans = `system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif`
	return `text{font-family:` + sans + `}
.title,.name,.mono,.chip{font-family:` + mono + `}
.title{font-size:16px;font-weight:700}.name{font-size:13px;font-weight:700}.strong{font-size:12px;font-weight:700}
.mono,.small{font-size:11px}.chip{font-size:10.5px}.label{font-size:12px}.brand{font-size:22px;font-weight:700}
.end{text-anchor:end}.mid{text-anchor:middle}.old{text-decoration:line-through}
.link{stroke-width:2.5}.wire{fill:none;stroke-width:2}.meridian{stroke-width:1.2}.globe{stroke-width:1.6}
.badge{fill-opacity:.14}
` + light().rules() + "@media (prefers-color-scheme:dark){\n" + dark().rules() + "}\n"
}
