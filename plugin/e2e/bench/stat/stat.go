// Package stat says what measurements have in common: their median and spread,
// and how they stand to others of the same run.
package stat

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Sample is what was measured, one value for each time, in the order of the
// rounds. It may be empty: then nothing is known.
type Sample []float64

// Of is the sample of durations, in a unit such as time.Millisecond.
func Of(values []time.Duration, unit time.Duration) Sample {
	s := make(Sample, len(values))
	for i, v := range values {
		s[i] = float64(v) / float64(unit)
	}
	return s
}

// MarshalJSON writes five digits of each value, which is more than any
// measurement has. A value that is no number is an error.
func (s Sample) MarshalJSON() ([]byte, error) {
	rounded := make([]float64, len(s))
	for i, v := range s {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("value %d of a sample is %v", i, v)
		}
		text := strconv.FormatFloat(v, 'g', 5, 64)
		var err error
		if rounded[i], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, err
		}
	}
	return json.Marshal(rounded)
}

// Quantile is the value that the share q of the sample does not exceed, such as
// the median for 0.5. Of an empty sample it is NaN.
func (s Sample) Quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(q*float64(len(sorted)-1))]
}

// Median is the Quantile of 0.5.
func (s Sample) Median() float64 { return s.Quantile(0.5) }

// Spread is half the distance between the quartiles, as a share of the median.
// It is 0 where the median is.
func (s Sample) Spread() float64 {
	m := s.Median()
	if m == 0 {
		return 0
	}
	return math.Abs((s.Quantile(0.75) - s.Quantile(0.25)) / 2 / m)
}

// Ratio compares two samples of one run round by round, as what else the
// machine did in a round fell on both. Samples of different sizes had other
// rounds: their medians are compared, in a sample of one.
func Ratio(s, to Sample) Sample {
	if len(s) == 0 || len(to) == 0 {
		return nil
	}
	if len(s) != len(to) {
		return Sample{s.Median() / to.Median()}
	}
	r := make(Sample, len(s))
	for i := range s {
		r[i] = s[i] / to[i]
	}
	return r
}

// Minus is the difference of two samples round by round, as far as both go.
func (s Sample) Minus(o Sample) Sample {
	r := make(Sample, min(len(s), len(o)))
	for i := range r {
		r[i] = s[i] - o[i]
	}
	return r
}
