package report

import (
	"fmt"
	"time"
)

// Fit shortens a name to width characters. It cuts the middle: Compose's names
// differ at their end.
func Fit(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	tail := (width - 1) / 2
	return string(runes[:width-1-tail]) + "…" + string(runes[len(runes)-tail:])
}

// Age is a duration in its largest unit, as Docker's users read it: 3m, 12h.
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

// Count is a number and what it counts: 1 network, 2 networks.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Short returns as much of an id as Docker's own tables show.
func Short(id string) string { return id[:min(len(id), 12)] }
