package kernel_test

import (
	"strings"
	"testing"

	"github.com/ndp6/ndp6/netutil/kernel"
)

// open opens a Conn in the test's namespace until the test ends.
func open(tb testing.TB) *kernel.Conn {
	tb.Helper()
	c, err := kernel.Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// contains checks that out has all of wanted.
func contains(tb testing.TB, out string, wanted ...string) {
	tb.Helper()
	for _, w := range wanted {
		if !strings.Contains(out, w) {
			tb.Errorf("%q is not in:\n%s", w, out)
		}
	}
}

// message is the text of err, empty for nil.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
