package exposition_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/exposition"
)

func TestText(t *testing.T) {
	timer := exposition.NewTimer(0.1, 1)
	for _, d := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 101 * time.Millisecond, 2 * time.Second} {
		timer.Observe(d)
	}
	got := string(exposition.Text([]exposition.Family{
		{
			Name: "ndp6_drops_total", Type: exposition.Counter, Help: `What \ is` + "\ndropped.", Labels: []string{"reason", "link"},
			Series: []exposition.Series{
				{Values: []string{"spoof", `a"b\c` + "\n"}, Value: 12345678901},
				{Values: []string{"no text", "\xff"}, Value: 0.5},
			},
		},
		{Name: "ndp6_links", Type: exposition.Gauge, Help: "None yet."},
		{Name: "ndp6_up", Type: exposition.Gauge, Help: "Odd values.", Labels: []string{"n"}, Series: []exposition.Series{
			{Values: []string{"1"}, Value: math.Inf(1)}, {Values: []string{"2"}, Value: math.Inf(-1)}, {Values: []string{"3"}, Value: math.NaN()},
		}},
		{
			Name: "ndp6_call_seconds", Type: exposition.Histogram, Help: "How long.", Labels: []string{"method"},
			Series: []exposition.Series{{Values: []string{"Join"}, Spread: timer.Spread()}},
		},
	}))
	want := `# HELP ndp6_drops_total What \\ is\ndropped.
# TYPE ndp6_drops_total counter
ndp6_drops_total{reason="spoof",link="a\"b\\c\n"} 1.2345678901e+10
ndp6_drops_total{reason="no text",link="` + "\uFFFD" + `"} 0.5
# HELP ndp6_links None yet.
# TYPE ndp6_links gauge
# HELP ndp6_up Odd values.
# TYPE ndp6_up gauge
ndp6_up{n="1"} +Inf
ndp6_up{n="2"} -Inf
ndp6_up{n="3"} NaN
# HELP ndp6_call_seconds How long.
# TYPE ndp6_call_seconds histogram
ndp6_call_seconds_bucket{method="Join",le="0.1"} 2
ndp6_call_seconds_bucket{method="Join",le="1"} 3
ndp6_call_seconds_bucket{method="Join",le="+Inf"} 4
ndp6_call_seconds_sum{method="Join"} 2.251
ndp6_call_seconds_count{method="Join"} 4
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimer(t *testing.T) {
	timer := exposition.NewTimer(1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				timer.Observe(time.Second / 2)
				timer.Observe(2 * time.Second)
			}
		})
	}
	before := timer.Spread()
	wg.Wait()
	kept := before.Count()
	want := exposition.Spread{Bounds: []float64{1}, Counts: []uint64{800, 800}, Sum: 2000}
	if diff := cmp.Diff(want, timer.Spread()); diff != "" {
		t.Error(diff)
	}
	if before.Count() != kept {
		t.Error("what was read before changed")
	}
}
