package plugin

import (
	"context"
	"os"
	"strings"

	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/ipam/source"
)

// facts tells the IPAM driver what the network driver's host uses: the two
// never meet but here.
type facts struct {
	host   *reconcile.Host
	uplink string
}

// Facts implements source.Host.
func (f facts) Facts(context.Context) (source.Facts, error) {
	if err := f.host.Refresh(); err != nil {
		return source.Facts{}, err
	}
	fs := source.Facts{MachineID: machineID(), Foreign: f.host.Foreign()}
	u, err := f.host.Choose(f.uplink)
	if err != nil {
		return fs, nil //nolint:nilerr // a host without an uplink gets a unique local prefix.
	}
	fs.Uplink, fs.OnLink, fs.Routed = u.Name, u.OnLink, u.Routed
	return fs, nil
}

// machineID returns the host's machine-id(5), empty where there is none, as in
// a managed plugin's file system.
func machineID() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
