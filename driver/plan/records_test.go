package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
)

func TestLinkNames(t *testing.T) {
	t.Parallel()
	e := plan.Endpoint{ID: strings.Repeat("0123456789abcdef", 4)}
	want := []string{"ndh-0123456789a", "ndc-0123456789a", "nd-0123456789ab", "nd-short"}
	got := []string{e.HostSide(), e.ContainerSide(), plan.BridgeName(e.ID), plan.BridgeName("short")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestNetworkMAC(t *testing.T) {
	t.Parallel()
	a, b := plan.Network{ID: "a"}.MAC(), plan.Network{ID: "b"}.MAC()
	if a == b {
		t.Errorf("two networks have the MAC %s", a)
	}
	if err := a.CheckHost(); err != nil {
		t.Error(err)
	}
}

// What is only true in this process must not outlive it.
func TestJoiningIsNotRecorded(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(joining(box))
	if err != nil {
		t.Fatal(err)
	}
	var got plan.Endpoint
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(box, got, byValue...); diff != "" {
		t.Errorf("record read back (-want +got):\n%s", diff)
	}
}
