package report_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ndp6/ndp6/plugin/report"
)

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
		want  string
	}{
		{"www", 3, "www"},
		{"", 3, ""},
		{"shop-frontend-12", 9, "shop…d-12"},
		{"shop-frontend-12", 8, "shop…-12"},
		{"größenwahn", 5, "gr…hn"},
	} {
		got := report.Fit(tt.name, tt.width)
		if got != tt.want || utf8.RuneCountInString(got) > tt.width {
			t.Errorf("Fit(%q, %d) = %q, want %q", tt.name, tt.width, got, tt.want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m",
		23*time.Hour + 59*time.Minute: "23h", 400 * 24 * time.Hour: "400d",
	} {
		if got := report.Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}
