package ipam_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	api "github.com/docker/go-plugins-helpers/ipam"
	"github.com/google/go-cmp/cmp"
)

// TestTraces answers what four versions of Docker sent, in their order. The
// recordings are excerpts, so some pools are used before they are requested and
// others are requested twice; those errors are named here.
func TestTraces(t *testing.T) {
	overlap := func(pool, other string) string {
		return fmt.Sprintf("pool %s overlaps pool %s of another network: use another --subnet: conflict", pool, other)
	}
	const tooLong = "pool fd51::/128 is longer than /126: use a --subnet of /126 or shorter, the longest that has room for containers in IPv6"
	// 10.60.0.0/24 is used without a range after a request with one.
	unranged := "rebuild pool from its id: " + overlap("10.60.0.0/24", "10.60.0.0/24")
	want := map[string][]string{
		"20.10": {
			overlap("fd51::/80", "fd51::/80"),
			"rebuild pool from its id: " + overlap("fd51::/80", "fd51::/80"), // its gateway
			"rebuild pool from its id: " + overlap("fd51::/80", "fd51::/80"), // its auxiliary address
			"rebuild pool from its id: " + overlap("fd52::/80", "fd52::/64"),
			overlap("10.90.0.0/24", "10.90.0.0/24"), overlap("fd90::/80", "fd90::/80"),
			overlap("10.90.0.0/24", "10.90.0.0/24"), overlap("fd90::/80", "fd90::/80"),
		},
		"26.1": {tooLong, unranged, unranged, overlap("fd60::/80", "fd60::/80")},
		"28.5": {tooLong, unranged, unranged, overlap("fd60::/80", "fd60::/80")},
		"29.7": {tooLong, unranged, unranged, overlap("fd60::/80", "fd60::/80")},
	}
	for version, errs := range want {
		t.Run(version, func(t *testing.T) {
			var got []string
			l := newLab(t, nil)
			for _, call := range readTrace(t, version) {
				if answer, err := l.replay(call); err != nil {
					got = append(got, err.Error())
				} else if strings.Contains(call.Method, "Request") && (answer == "" || strings.Contains(answer, "invalid")) {
					t.Errorf("%s %s: answer %q", call.Method, call.Request, answer)
				}
			}
			if diff := cmp.Diff(errs, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type traced struct {
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

func readTrace(t *testing.T, version string) []traced {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", version+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var calls []traced
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var c traced
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	return calls
}

// tracedID matches the ids of the plugin that the recordings were made with.
var tracedID = regexp.MustCompile(`"p[46]-([^-"]+)(?:-([^"]+))?"`)

// replay sends one call, with the pool's id as we write it.
func (l *lab) replay(c traced) (string, error) {
	body := tracedID.ReplaceAllFunc(c.Request, func(id []byte) []byte {
		parts := tracedID.FindSubmatch(id)
		ours := "ndp6,pool=" + string(parts[1])
		if len(parts[2]) > 0 {
			ours += ",range=" + netip.MustParsePrefix(string(parts[2])).Masked().String()
		}
		return fmt.Appendf(nil, "%q", ours)
	})
	decode := func(v any) {
		if err := json.Unmarshal(body, v); err != nil {
			panic(err)
		}
	}
	ctx := context.Background()
	switch c.Method {
	case "IpamDriver.GetCapabilities":
		_, err := l.GetCapabilities(ctx)
		return "", err
	case "IpamDriver.GetDefaultAddressSpaces":
		_, err := l.GetDefaultAddressSpaces(ctx)
		return "", err
	case "IpamDriver.RequestPool":
		var r api.RequestPoolRequest
		decode(&r)
		a, err := l.RequestPool(ctx, &r)
		if err != nil {
			return "", err
		}
		return a.Pool, nil
	case "IpamDriver.ReleasePool":
		var r api.ReleasePoolRequest
		decode(&r)
		return "", l.ReleasePool(ctx, &r)
	case "IpamDriver.RequestAddress":
		var r api.RequestAddressRequest
		decode(&r)
		a, err := l.RequestAddress(ctx, &r)
		if err != nil {
			return "", err
		}
		return a.Address, nil
	case "IpamDriver.ReleaseAddress":
		var r api.ReleaseAddressRequest
		decode(&r)
		return "", l.ReleaseAddress(ctx, &r)
	}
	return "", fmt.Errorf("method %s is unknown", c.Method)
}
