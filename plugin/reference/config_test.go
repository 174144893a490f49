package reference_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/settings"
)

// TestManagedPlugin wants each setting in config.json, with the same default,
// but for those that the plugin's mounts decide.
func TestManagedPlugin(t *testing.T) {
	data, err := os.ReadFile("../../config.json")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Env []struct {
			Name, Value string
			Settable    []string
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	got, want := make(map[string]string), make(map[string]string)
	for _, e := range config.Env {
		if len(e.Settable) > 0 {
			got[e.Name] = e.Value
		}
	}
	for _, s := range settings.All() {
		switch s.Flag {
		case "socket", "state-dir", "sysctl-dir", "sysctl-dropin", "docker-socket": // paths, of which it has only its own
		default:
			want[s.Env] = s.Default
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settable variables of config.json (-settings +config.json):\n%s", diff)
	}
}
