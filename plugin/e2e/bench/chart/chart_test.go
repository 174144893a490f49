package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/netutil/golden"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
)

type picture interface{ SVG() string }

func pictures() map[string]picture {
	return map[string]picture{
		"bars": chart.Bars{Title: "First ping", Unit: "ms, less is better", Bars: []chart.Bar{
			{"ndp6", 12.5, true}, {"a <peer> & more", 42, false}, {"silent", math.NaN(), false}, {"nothing", 0, false},
		}},
		"bars-log": chart.Bars{Title: "First ping", Unit: "ms, less is better", Log: true, Bars: []chart.Bar{
			{"ndp6", 0.15, true}, {"recipe", 425, false},
		}},
		"lines": chart.Lines{
			Title: "Forwarding", Unit: "1,000 packets a second, more is better", Axis: "addresses",
			Steps: []string{"0", "1,000", "10,000"}, Series: []chart.Series{
				{"ndp6", []float64{464, 463, 460}}, {"kernel proxy", []float64{464, 390, 158}}, {"broken off", []float64{464, math.NaN(), 158}},
			},
		},
		"nothing": chart.Bars{Title: "Nothing", Unit: "ms"},
	}
}

func TestSVG(t *testing.T) {
	for name, p := range pictures() {
		t.Run(name, func(t *testing.T) {
			svg := p.SVG()
			golden.Expect(t, filepath.Join("testdata", name+".svg"), svg)
			for d := xml.NewDecoder(strings.NewReader(svg)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Error("a value that has no place is drawn")
			}
		})
	}
}
