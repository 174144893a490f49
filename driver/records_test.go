package driver_test

import (
	"testing"
	"time"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver"
)

// A record that could not be deleted would bring its object back with the next process.
func TestDeletionThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("a"))
	forget := func() {
		r.endpoints.breaks(errBroken)
		if err := r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "a"}); err == nil {
			t.Error("no error")
		}
		r.endpoints.breaks(nil)
	}

	forget()
	r.attach(t, createBox("b"))
	if ids := r.endpoints.ids(); len(ids) != 1 || ids[0] != "b" {
		t.Errorf("endpoints recorded after the next change: %v", ids)
	}

	r = r.restart(t)
	r.endpoints.breaks(errBroken)
	_ = r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "b"})
	r.endpoints.breaks(nil)
	if _, err := r.Sweep(t.Context(), driver.Known{Since: time.Now(), Networks: map[string]bool{"web": true}}); err != nil {
		t.Error(err)
	}
	if ids := r.endpoints.ids(); len(ids) > 0 {
		t.Errorf("endpoints recorded after a sweep: %v", ids)
	}
}
