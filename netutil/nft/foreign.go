package nft

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
)

// foreignChain is a chain of somebody else in which we keep one rule.
type foreignChain struct {
	chain *nftables.Chain
	rules []rule
}

// isForeignForward reports whether c is what iptables or ip6tables made
// for FORWARD. A chain of that name without a hook sees no packets.
func isForeignForward(c *nftables.Chain) bool {
	family := c.Table.Family == nftables.TableFamilyIPv4 || c.Table.Family == nftables.TableFamilyIPv6
	return family && c.Table.Name == "filter" && c.Name == "FORWARD" &&
		c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward
}

// queue queues what makes want the only rule of ours, and the last of the
// chain; without statements in want, there is to be none.
func (f foreignChain) queue(nf *nftables.Conn, want Rule) (changed bool, err error) {
	missing := len(want) > 0
	text, err := ruleText(byte(f.chain.Table.Family), want.compile(Inet))
	if err != nil {
		return false, fmt.Errorf("accept rule: %w", err)
	}
	for i, r := range f.rules {
		if r.comment != Owner {
			continue
		}
		if missing && i == len(f.rules)-1 && r.text == text {
			missing = false
			continue
		}
		if err := nf.DelRule(&nftables.Rule{Table: f.chain.Table, Chain: f.chain, Handle: r.handle}); err != nil {
			return false, fmt.Errorf("delete rule %d of chain %s: %w", r.handle, f.chain.Name, err)
		}
		changed = true
	}
	if missing {
		nf.AddRule(&nftables.Rule{
			Table: f.chain.Table, Chain: f.chain, Exprs: want.compile(Inet),
			UserData: userdata.AppendString(nil, userdata.TypeComment, Owner),
		})
		changed = true
	}
	return changed, nil
}
