package firewall

import (
	"slices"

	"github.com/ndp6/ndp6/netutil/nft"
)

// passing is how packets that may pass do.
type passing struct {
	verdict nft.Statement
	// outside is what packets do that may leave to anywhere but our networks.
	outside []nft.Rule
	chains  []nft.Chain
}

// plain is for hosts where an accept of ours is enough. Established flows cost
// the least there.
func plain() passing {
	return passing{verdict: nft.Accept, outside: []nft.Rule{{nft.Accept}}}
}

// carried is for hosts where others drop what they do not know: the mark of
// what may pass tells our rules among theirs.
func carried() passing {
	carry := nft.Goto("carry")
	input, output := in("own", nft.InputName), in("own", nft.OutputName)
	return passing{
		verdict: carry,
		outside: []nft.Rule{
			{in("uplinks", nft.OutputName), carry},
			// Behind another bridge are the containers or guests of somebody
			// else, who decides what reaches them.
			{nft.OutputKind("bridge"), nft.Accept},
			{carry},
		},
		chains: []nft.Chain{
			{Name: "carry", Rules: []nft.Rule{{nft.SetMark(CarryBit), nft.Accept}}},
			{
				Name: "forward_clear", Hook: filter(nft.Forward, nft.PriorityFilter+5),
				Rules: []nft.Rule{
					{nft.MarkLacks(CarryBit), nft.Accept},
					{nft.Labeled(labelOutside), nft.ClearMark(CarryBit), nft.Accept},
					{input, nft.ClearMark(CarryBit), nft.Accept},
					{output, nft.ClearMark(CarryBit)},
				},
			},
		},
	}
}

// Labels of flows that need no more than a look at each packet: to go through
// the maps and sets every time is most of what the rules cost. Both are high
// numbers, as administrators count from 0.
const (
	// labelOutside is of flows between a container and somebody outside. That
	// nobody else sends under the container's address, the guards of its bridge
	// see to; that of somebody outside could be anybody's.
	labelOutside = 110

	labelOthers = 111 // of flows that have no end of ours
)

// forwardChains decide about everything from and to our networks. The network
// that a packet goes to is the one that decides.
func forwardChains(p passing, guard bool) []nft.Chain {
	icmpv6 := nft.Is{Field: nft.L4Proto, Value: nft.ProtoICMPv6}
	unknown := func(f nft.Field) nft.Rule {
		return drop(countUnknown, nft.NamePrefix{Field: f, Prefix: "nd-"})
	}
	// With bridge-nf-call, frames inside a bridge come by here too: the guards
	// of the bridge are for them.
	bridged := notIn("inside", nft.InputName, nft.OutputName)
	inside := in("inside", nft.InputName, nft.OutputName)
	forward := nft.Chain{
		Name: "forward", Hook: filter(nft.Forward, nft.PriorityFilter-5),
		Rules: []nft.Rule{
			// What is labeled is established, and invalid packets are of no flow.
			{nft.Labeled(labelOutside), nft.Jump("decided")},
			{nft.Labeled(labelOthers), nft.Accept},
			{vmap("from", nft.InputName)},
			{vmap("to", nft.OutputName)},
			// A bridge of ours that is in no map yet, or no more.
			unknown(nft.InputName),
			unknown(nft.OutputName),
			// They would wait for minutes otherwise.
			{nft.Is{Field: nft.L4Proto, Value: nft.ProtoTCP}, in("gone6", nft.IPv6Destination), nft.CountIn(countGone), nft.Reset{}},
			{nft.Established, nft.SetLabel(labelOthers)},
		},
	}
	if guard {
		forward.Rules = append(forward.Rules, nft.Rule{nft.Goto("guard")})
		p.chains = append(p.chains, guardChain())
	}
	chains := []nft.Chain{
		forward,
		{Name: "decided", Rules: []nft.Rule{
			// Without an extension header there is nothing else to look at.
			{nft.Is{Field: nft.IPv6Next, Value: nft.ProtoTCP}, p.verdict},
			{nft.Is{Field: nft.IPv6Next, Value: nft.ProtoUDP}, p.verdict},
			{nft.Is{Field: nft.Protocol, Value: nft.IPv4}, p.verdict},
		}},
		{Name: "leaving_internal", Rules: []nft.Rule{
			{inside, nft.Goto("inside")},
			drop(countInternal),
		}},
		{Name: "entering_internal", Rules: []nft.Rule{drop(countInternal)}},
		{Name: "leaving_isolated", Rules: []nft.Rule{
			drop(countIsolated, in("isolated", nft.InputName, nft.OutputName)),
			{nft.Goto("leaving")},
		}},
		{Name: "leaving", Rules: slices.Concat([]nft.Rule{noRouting()}, ownSources(bridged), []nft.Rule{
			{icmpv6, nft.Goto("leaving_icmp6")},
			{nft.Established, p.verdict},
			{vmap("to", nft.OutputName)},
			unknown(nft.OutputName),
			// What the fast path left to us is of a flow that conntrack knows in part.
			{nft.Invalid, in("stateless6", nft.IPv6Source, nft.L4Proto, nft.SourcePort), in("uplinks", nft.OutputName), p.verdict},
			// NAT does not know them: they would leave with the container's address.
			drop(countInvalid, nft.Invalid),
			drop(countInvalid, nft.Untracked, in("hidden6", nft.IPv6Source)),
			drop(countInvalid, nft.Untracked, in("hidden4", nft.IPv4Source)),
		}, p.outside)},
		// Conntrack calls a redirect related, and node information a flow: what
		// ICMPv6 may pass is decided before that.
		{Name: "leaving_icmp6", Rules: append([]nft.Rule{
			{vmap("to", nft.OutputName)},
			unknown(nft.OutputName),
			drop(countTransit, in("stays", nft.ICMPv6TypeField)),
			// Errors about no flow, as above.
			drop(countInvalid, nft.Invalid, in("hidden6", nft.IPv6Source)),
			drop(countInvalid, nft.Untracked, in("hidden6", nft.IPv6Source)),
		}, p.outside...)},
		{Name: "entering", Rules: append(foreignSources(), []nft.Rule{
			{icmpv6, nft.Goto("entering_icmp6")},
			// Those from our networks do not come this far.
			{nft.Established, nft.SetLabel(labelOutside), p.verdict},
			// With bridge-nf-call, frames inside a bridge come by here too.
			{inside, p.verdict},
			{nft.Is{Field: nft.L4Proto, Value: nft.Proto(1)}, nft.Goto("entering_icmp4")},
			drop(countUnknown, nft.NamePrefix{Field: nft.InputName, Prefix: "nd-"}, notIn("own", nft.InputName)),
			{nft.Jump("hidden")},
			{nft.Invalid, in("stateless6", nft.IPv6Destination, nft.L4Proto, nft.DestinationPort), p.verdict},
			drop(countInvalid, nft.Invalid),
			{in("pub6", nft.IPv6Destination, nft.L4Proto, nft.DestinationPort), p.verdict},
			{in("pub4", nft.IPv4Destination, nft.L4Proto, nft.DestinationPort), p.verdict},
			// A port of one address of the host is not open at the container's address outside.
			{nft.DNATed, nft.OriginalDirection, notIn("outside6", nft.FlowDestination), in("nat6", nft.IPv6Destination, nft.L4Proto, nft.DestinationPort), p.verdict},
			{nft.DNATed, nft.OriginalDirection, in("nat4", nft.IPv4Destination, nft.L4Proto, nft.DestinationPort), p.verdict},
			{in("open6", nft.IPv6Destination), p.verdict},
			{in("open4", nft.IPv4Destination), p.verdict},
			drop(countInbound),
		}...)},
	}
	return append(append(chains, icmpChains(p)...), p.chains...)
}

// echoLimit keeps containers from being everybody's echo.
func echoLimit() nft.Limit { return nft.Limit{Rate: 1000, Burst: 200} }

// icmpChains let through what RFC 4890 4.3 says.
func icmpChains(p passing) []nft.Chain {
	message := func(t nft.ICMPv6) nft.Is { return nft.Is{Field: nft.ICMPv6TypeField, Value: t} }
	return []nft.Chain{
		{Name: "entering_icmp6", Rules: []nft.Rule{
			// IPv4 has this number for nothing.
			drop(countInbound, nft.Is{Field: nft.Protocol, Not: true, Value: nft.IPv6}),
			{in("inside", nft.InputName, nft.OutputName), nft.Goto("inside")},
			{nft.Jump("hidden")},
			// Without "packet too big" flows hang: never limited, whether or
			// not the flow came by here.
			{in("errors6", nft.ICMPv6TypeField), p.verdict},
			{message(128), echoLimit(), p.verdict},
			{message(129), nft.Established, p.verdict},
			drop(countTransit, in("stays", nft.ICMPv6TypeField)),
			{in("open6", nft.IPv6Destination), p.verdict},
			drop(countInbound),
		}},
		{Name: "entering_icmp4", Rules: []nft.Rule{
			{nft.Jump("hidden")},
			{nft.ICMPv4(3), p.verdict},
			{nft.ICMPv4(11), p.verdict},
			{nft.ICMPv4(12), p.verdict},
			{nft.ICMPv4(8), echoLimit(), p.verdict},
			{in("open4", nft.IPv4Destination), p.verdict},
			drop(countInbound),
		}},
		{Name: "inside", Rules: []nft.Rule{
			// RFC 4861 11.2: only what was bridged still has 255.
			drop(countTransit, in("discovery", nft.ICMPv6TypeField), nft.Is{Field: nft.HopLimit, Not: true, Value: nft.Number(255)}),
			{p.verdict},
		}},
	}
}

// guardChain keeps the host from being a router for others because we switched
// forwarding on. Nobody could forward before, so it takes nothing away; who
// came later and relies on it keeps what they allow themselves.
func guardChain() nft.Chain {
	bridges := func(prefix string) nft.Rule {
		return nft.Rule{
			notIn("uplinks", nft.OutputName),
			nft.NamePrefix{Field: nft.OutputName, Prefix: prefix},
			nft.OutputKind("bridge"), nft.Accept,
		}
	}
	return nft.Chain{
		Name: "guard",
		Rules: []nft.Rule{
			{nft.Is{Field: nft.Protocol, Not: true, Value: nft.IPv6}, nft.Accept},
			{nft.Established, nft.Accept},
			{nft.DNATed, nft.Accept},
			// With bridge-nf-call, frames inside a bridge come by here too.
			{in("uplink_inside", nft.InputName, nft.OutputName), nft.InputKind("bridge"), nft.Accept},
			// The guests of another bridge go where its owner lets them.
			{notIn("uplinks", nft.InputName), nft.InputKind("bridge"), nft.Accept},
			// Docker sees forwarding on and filters what enters its networks.
			bridges("br-"),
			bridges("docker"),
			drop(countGuard),
		},
	}
}
