package stat_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

func TestSample(t *testing.T) {
	type figures struct{ Median, P99, Spread float64 }
	for _, c := range []struct {
		name string
		in   stat.Sample
		want figures
	}{
		{"one", stat.Sample{3}, figures{3, 3, 0}},
		{"in no order", stat.Sample{5, 1, 4, 2, 3}, figures{3, 4, 1.0 / 3}},
		{"zeros", stat.Sample{0, 0, 0}, figures{0, 0, 0}},
		{"negative", stat.Sample{-2, -4, -6}, figures{-4, -4, 0.25}},
		{"durations", stat.Of([]time.Duration{time.Second, 3 * time.Second, 2 * time.Second}, time.Millisecond), figures{2000, 2000, 0.25}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := figures{c.in.Median(), c.in.Quantile(0.99), c.in.Spread()}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := stat.Sample(nil).Median(); !math.IsNaN(got) {
		t.Errorf("median of nothing: got %v, want NaN", got)
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name        string
		s, to, want stat.Sample
	}{
		{"round by round", stat.Sample{2, 30, 8}, stat.Sample{1, 10, 4}, stat.Sample{2, 3, 2}},
		{"other rounds", stat.Sample{2, 4, 6}, stat.Sample{2}, stat.Sample{2}},
		{"nothing", nil, stat.Sample{2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, stat.Ratio(c.s, c.to)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(stat.Sample{1, 2}, stat.Sample{3, 5, 9}.Minus(stat.Sample{2, 3})); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func TestMarshalJSON(t *testing.T) {
	got, err := stat.Sample{1, 0.123456789, 123456.789}.MarshalJSON()
	if err != nil || string(got) != "[1,0.12346,123460]" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := (stat.Sample{math.NaN()}).MarshalJSON(); err == nil {
		t.Errorf("no number: got %s, want an error", got)
	}
}
