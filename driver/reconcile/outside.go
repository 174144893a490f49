package reconcile

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
)

// maxWithdrawn is how many prefixes a network is remembered to have had.
const maxWithdrawn = 8

// outside remembers under which prefixes networks were known outside. The zero
// value knows of none.
type outside struct {
	// current and withdrawn are by the network's bridge.
	current, withdrawn map[string][]netip.Prefix
	// gone are those that were withdrawn and whose flows are not ended yet. They
	// could not go on; forgotten, they are reset by the next packet of a
	// container instead of waiting for an answer.
	gone []netip.Prefix
}

// withdraw returns the networks with what is withdrawn of each, for whoever
// still has a connection there.
func (o *outside) withdraw(networks []firewall.Network) []firewall.Network {
	networks = slices.Clone(networks)
	current, withdrawn := make(map[string][]netip.Prefix), make(map[string][]netip.Prefix)
	for i, n := range networks {
		for _, t := range n.Translations {
			current[n.Bridge] = append(current[n.Bridge], t.Outside)
		}
		is := func(p netip.Prefix) bool { return slices.Contains(current[n.Bridge], p) }
		went := slices.DeleteFunc(slices.Clone(o.current[n.Bridge]), is)
		o.gone = append(o.gone, went...)
		old := slices.DeleteFunc(slices.Concat(o.withdrawn[n.Bridge], went), is)
		if old = old[max(0, len(old)-maxWithdrawn):]; len(old) > 0 {
			withdrawn[n.Bridge] = old
		}
		networks[i].Withdrawn = old
	}
	o.current, o.withdrawn = current, withdrawn
	return networks
}
