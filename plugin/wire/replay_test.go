package wire_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReplay sends what each version of Docker was seen to send, in order.
func TestReplay(t *testing.T) {
	for _, version := range []string{"20.10", "26.1", "28.5", "29.7"} {
		t.Run(version, func(t *testing.T) {
			d := &drivers{}
			p := start(t, d, quiet)
			var refused []string
			for _, call := range recorded(t, version) {
				status, answer := p.post(t, call.Method, call.body())
				if status != http.StatusOK {
					refused = append(refused, call.Method+" "+string(call.Request)+": "+answer)
					continue
				}
				if !strings.HasPrefix(answer, "{") || strings.Contains(answer, `"Err"`) {
					t.Errorf("%s %s: answer %s, want an object without Err", call.Method, call.Request, answer)
				}
				if call.body() != "" {
					checkLossless(t, call, d.last())
				}
			}
			// The one call that dockerd repeated without its arguments, after
			// the plugin that was recorded had been killed in the middle of it.
			want := []string{`NetworkDriver.CreateEndpoint "": {"Err":"the request has no arguments: Docker repeats a call whose connection to the plugin broke and leaves its body out: run the docker command again"}`}
			if diff := cmp.Diff(want, refused); diff != "" {
				t.Errorf("refused calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSwarmReplay sends what a manager sends for networks of a swarm.
func TestSwarmReplay(t *testing.T) {
	d := &drivers{}
	p := start(t, d, quiet)
	for _, call := range recorded(t, "swarm") {
		status, answer := p.post(t, call.Method, call.body())
		if status != http.StatusOK || !strings.HasPrefix(answer, "{") {
			t.Errorf("%s %s: %d %s", call.Method, call.Request, status, answer)
		}
		if call.body() != "" {
			checkLossless(t, call, d.last())
		}
	}
}

// A recordedCall is a line of testdata: Request is the body, "" for none.
type recordedCall struct {
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

func (c recordedCall) body() string {
	if string(c.Request) == `""` {
		return ""
	}
	return string(c.Request)
}

func recorded(tb testing.TB, version string) []recordedCall {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata", version+".jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var calls []recordedCall
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c recordedCall
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			tb.Fatal(err)
		}
		calls = append(calls, c)
	}
	if len(calls) == 0 {
		tb.Fatalf("no calls recorded for Docker %s", version)
	}
	return calls
}

// checkLossless fails where the driver got less, or other, than Docker sent.
func checkLossless(t *testing.T, call recordedCall, got any) {
	t.Helper()
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(filled(t, call.Request), filled(t, again)); diff != "" {
		t.Errorf("%s: what arrived (-sent +decoded):\n%s", call.Method, diff)
	}
}

// filled decodes an object without its empty values, which Go's types and
// Docker's versions write down or leave out as they like.
func filled(t *testing.T, object []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(object, &v); err != nil {
		t.Fatal(err)
	}
	return dropEmpty(v)
}

func dropEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if v[key] = dropEmpty(value); v[key] == nil {
				delete(v, key)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = dropEmpty(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
	}
	return v
}
