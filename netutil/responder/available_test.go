package responder_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

// TestCapabilities runs this test in a process that has just what is asked for, and less.
func TestCapabilities(t *testing.T) {
	if want, ok := os.LookupEnv("NDP6_RESPONDER_WANT"); ok {
		err := responder.Available()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Fatalf("want %q, got %v", want, err)
		}
		return
	}
	nettest.Enter(t)
	if err := responder.Available(); err != nil {
		nettest.Unavailable(t, err.Error())
	}
	for caps, want := range map[string]string{
		"net_admin,bpf":       "",
		"net_admin,sys_admin": "",
		"net_admin":           "lacks CAP_BPF",
		"bpf":                 "lacks CAP_NET_ADMIN",
	} {
		nettest.WithCapabilities(t, caps, "NDP6_RESPONDER_WANT="+want)
	}
}
