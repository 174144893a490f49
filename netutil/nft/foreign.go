package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// Where iptables and ip6tables keep what filters forwarded packets.
const (
	foreignTable = "filter"
	foreignName  = "FORWARD"
)

// foreignChain is a chain of somebody else in which we keep rules.
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

// adminJump is how Docker lets rules of the administrator come before its own.
func adminJump() Rule { return Rule{Count, Jump("DOCKER-USER")} }

// move adds to b what makes want the only rule of ours and the last of the
// chain; without statements in want, there is to be none. Where Docker lets the
// administrator speak first, what is established and want matches passes right
// behind that, as what is established on Docker's own networks does: else it
// goes through all rules of all of them.
func (f foreignChain) move(b *batch, want Rule) (changed bool, err error) {
	missing, err := f.places(want)
	if err != nil {
		return false, err
	}
	for i, r := range f.rules {
		if r.comment != Owner {
			continue
		}
		if k := slices.IndexFunc(missing, func(p place) bool { return p.index == i && p.rule.text == r.text }); k >= 0 {
			missing = slices.Delete(missing, k, k+1)
			continue
		}
		b.add(unix.NFT_MSG_DELRULE, 0, f.family, "delete rule of chain "+foreignName, func(e *encoder) {
			e.string(unix.NFTA_RULE_TABLE, foreignTable)
			e.string(unix.NFTA_RULE_CHAIN, foreignName)
			e.bytes(unix.NFTA_RULE_HANDLE, binary.BigEndian.AppendUint64(nil, r.handle))
		})
		changed = true
	}
	comment := userdata.AppendString(nil, userdata.TypeComment, Owner)
	for _, p := range missing {
		addRule(b, newRule{
			family: f.family, table: foreignTable, chain: foreignName, list: p.rule.list, comment: comment, after: p.after,
			name: "add rule to chain " + foreignName,
		})
		changed = true
	}
	return changed, nil
}

// place is where a rule of ours belongs.
type place struct {
	rule  kernelRule
	index int    // among the rules of the chain, if it is there already
	after uint64 // the handle of the rule that it comes behind; 0: of all
}

// places returns the rules of ours that want makes.
func (f foreignChain) places(want Rule) ([]place, error) {
	if len(want) == 0 {
		return nil, nil
	}
	last, err := compileRule(f.family, want.compile(Inet))
	if err != nil {
		return nil, fmt.Errorf("accept rule: %w", err)
	}
	out := []place{{rule: last, index: len(f.rules) - 1}}
	jump, err := compileRule(f.family, adminJump().compile(Inet))
	if err != nil {
		return nil, fmt.Errorf("jump to DOCKER-USER: %w", err)
	}
	if i := slices.IndexFunc(f.rules, func(r rule) bool { return r.text == jump.text }); i >= 0 {
		behind, err := compileRule(f.family, early(f.family, want))
		if err != nil {
			return nil, fmt.Errorf("accept rule for established flows: %w", err)
		}
		out = append(out, place{rule: behind, index: i + 1, after: f.rules[i].handle})
	}
	return out, nil
}

// early is want for packets of established flows, in the words that iptables
// knows for them.
func early(family byte, want Rule) []expr.Any {
	ip, mask := net.IPv4zero.To4(), make(net.IPMask, net.IPv4len)
	if family == unix.NFPROTO_IPV6 {
		ip, mask = net.IPv6zero, make(net.IPMask, net.IPv6len)
	}
	info := &xt.ConntrackMtinfo3{ConntrackMtinfo2: xt.ConntrackMtinfo2{
		ConntrackMtinfoBase: xt.ConntrackMtinfoBase{
			OrigSrcAddr: ip, OrigDstAddr: ip, ReplSrcAddr: ip, ReplDstAddr: ip,
			OrigSrcMask: mask, OrigDstMask: mask, ReplSrcMask: mask, ReplDstMask: mask,
			MatchFlags: uint16(xt.ConntrackState),
		},
		StateMask: stateEstablished | stateRelated,
	}}
	established := &expr.Match{Name: "conntrack", Rev: 3, Info: info}
	return slices.Concat(want[:1].compile(Inet), []expr.Any{established}, want[1:].compile(Inet))
}

// Bits of xt_conntrack.h.
const (
	stateEstablished = 1 << 1
	stateRelated     = 1 << 2
)
