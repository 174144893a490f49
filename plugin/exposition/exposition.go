// Package exposition writes metrics in Prometheus' text format, version 0.0.4,
// and keeps the one kind of metric that needs more than a number.
package exposition

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ContentType is that of what [Text] returns.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Type is what a metric's values mean.
type Type string

// The types.
const (
	Counter   Type = "counter" // only grows, until the process ends
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// A Family is a metric: series of one name that differ in their labels.
type Family struct {
	Name string
	Type Type
	Help string
	// Labels are the names of the labels that every series has.
	Labels []string
	Series []Series
}

// A Series is one value of a metric, or one distribution of a histogram.
type Series struct {
	// Values are those of the family's labels, in their order.
	Values []string
	Value  float64
	// Spread is that of a histogram.
	Spread Spread
}

// Text returns families in their order. What it returns is well formed
// whatever the labels' values are; names are the caller's to choose well.
func Text(families []Family) []byte {
	var b bytes.Buffer
	for _, f := range families {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.Name, helpText().Replace(f.Help), f.Name, f.Type)
		for _, s := range f.Series {
			labels := pairs(f.Labels, s.Values)
			if f.Type != Histogram {
				line(&b, f.Name, labels, s.Value)
				continue
			}
			for i, bound := range slices.Concat(s.Spread.Bounds, []float64{math.Inf(1)}) {
				le := `le="` + number(bound) + `"`
				line(&b, f.Name+"_bucket", slices.Concat(labels, []string{le}), float64(s.Spread.upTo(i)))
			}
			line(&b, f.Name+"_sum", labels, s.Spread.Sum)
			line(&b, f.Name+"_count", labels, float64(s.Spread.Count()))
		}
	}
	return b.Bytes()
}

func line(b *bytes.Buffer, name string, labels []string, value float64) {
	b.WriteString(name)
	if len(labels) > 0 {
		b.WriteString("{" + strings.Join(labels, ",") + "}")
	}
	b.WriteString(" " + number(value) + "\n")
}

func pairs(names, values []string) []string {
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = name + `="` + labelValue().Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`
	}
	return pairs
}

// number is a value as Go's ParseFloat reads it, which the format asks for.
func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func helpText() *strings.Replacer { return strings.NewReplacer(`\`, `\\`, "\n", `\n`) }

func labelValue() *strings.Replacer { return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`) }
