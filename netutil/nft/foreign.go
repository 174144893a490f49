package nft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// Where iptables and ip6tables keep what filters forwarded packets.
const (
	foreignTable = "filter"
	foreignName  = "FORWARD"
)

// foreignChain is a chain of somebody else in which we keep one rule.
type foreignChain struct {
	family byte
	rules  []rule
}

func foreignFamilies() []byte { return []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} }

// observeForeign reads the filter FORWARD chains that iptables and ip6tables
// made. A chain of that name without a hook sees no packets.
func (s *socket) observeForeign() ([]foreignChain, error) {
	var out []foreignChain
	for _, family := range foreignFamilies() {
		var chain chainShape
		err := s.request(unix.NFT_MSG_GETCHAIN, 0, family, func(e *encoder) {
			e.string(unix.NFTA_CHAIN_TABLE, foreignTable)
			e.string(unix.NFTA_CHAIN_NAME, foreignName)
		}, func(_ uint16, b []byte) error {
			chain, _ = parseChain(b)
			return nil
		})
		if errors.Is(err, unix.ENOENT) || err == nil && (!chain.base || chain.hook != Forward.number()) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read chain %s: %w", foreignName, err)
		}
		rules, err := s.rules(family, foreignTable, foreignName)
		if err != nil {
			return nil, err
		}
		out = append(out, foreignChain{family: family, rules: rules})
	}
	return out, nil
}

// move adds to b what makes want the only rule of ours, and the last of the
// chain; without statements in want, there is to be none.
func (f foreignChain) move(b *batch, want Rule) (changed bool, err error) {
	missing := len(want) > 0
	rule, err := compileRule(f.family, want.compile(Inet))
	if err != nil {
		return false, fmt.Errorf("accept rule: %w", err)
	}
	for i, r := range f.rules {
		if r.comment != Owner {
			continue
		}
		if missing && i == len(f.rules)-1 && r.text == rule.text {
			missing = false
			continue
		}
		b.add(unix.NFT_MSG_DELRULE, 0, f.family, "delete rule of chain "+foreignName, func(e *encoder) {
			e.string(unix.NFTA_RULE_TABLE, foreignTable)
			e.string(unix.NFTA_RULE_CHAIN, foreignName)
			e.bytes(unix.NFTA_RULE_HANDLE, binary.BigEndian.AppendUint64(nil, r.handle))
		})
		changed = true
	}
	if missing {
		comment := userdata.AppendString(nil, userdata.TypeComment, Owner)
		addRule(b, f.family, foreignTable, foreignName, rule.list, "add rule to chain "+foreignName, comment)
		changed = true
	}
	return changed, nil
}
