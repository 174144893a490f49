package nettest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// WithCapabilities runs the calling test once more, in a process that has no
// capabilities but these ("net_admin,bpf") and a variable ("NAME=value") that
// tells the test so. It fails where the test does.
func WithCapabilities(t *testing.T, caps, variable string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bounding := "-all,+" + strings.ReplaceAll(caps, ",", ",+")
	// Root has what the bounding set leaves.
	cmd := exec.Command("setpriv", "--bounding-set", bounding, exe, "-test.run", "^"+t.Name()+"$") //nolint:noctx // It ends by itself.
	cmd.Env = append(os.Environ(), variable)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", caps, err, out)
	}
}
