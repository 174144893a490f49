package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

// setModeOf gives n the mode that o asks for, or the one that its pools want,
// and what belongs to it. What cannot be together is refused.
func setModeOf(n *plan.Network, o options, defaultAnnounce string) error {
	n.NDP, n.HostIPv6, n.Outside, n.Announce = o.ndp, o.hostIPv6, o.outside, o.announce
	local := slices.IndexFunc(n.Pools, func(p plan.Pool) bool { return inet.IsULA(p.Prefix) })
	n.Mode, n.Reason = o.mode, fmt.Sprintf("option %s", keyMode)
	switch {
	case o.mode != "":
	case n.Internal:
		n.Mode, n.Reason = plan.Routed, "the network is internal"
	case local >= 0:
		n.Mode, n.Reason = plan.NAT, fmt.Sprintf("pool %s is unique local", n.Pools[local].Prefix)
	default:
		n.Mode, n.Reason = plan.Routed, fmt.Sprintf("pool %s is global", n.Pools[0].Prefix)
	}
	if n.Announce == "" && n.RoutedOut() {
		n.Announce = defaultAnnounce
	}
	if n.Announce == plan.AnnounceNone {
		n.Announce = ""
	}
	return errors.Join(checkMode(*n, local), checkModeOptions(*n))
}

// checkMode refuses a mode that cannot be with these pools. local is the index
// of a unique local one, less than 0 where there is none.
func checkMode(n plan.Network, local int) error {
	switch {
	case n.Mode == plan.Isolated && !n.Internal:
		return fmt.Errorf("option %s=%q is for internal networks: add --internal, or use %s or %s", keyMode, n.Mode, plan.Routed, plan.NAT)
	case n.Internal && (n.Mode == plan.NAT || n.Mode == plan.NPTv6):
		return fmt.Errorf("option %s=%q is for networks that reach beyond the host: leave it out, or --internal", keyMode, n.Mode)
	case n.Mode == plan.NPTv6 && local < 0:
		return fmt.Errorf("option %s=%q with pool %s, which is not unique local: use a --subnet such as fd00:1:2:3:a::/80, or --ipam-opt ndp6.source=ula", keyMode, n.Mode, n.Pools[0].Prefix)
	case n.Mode == plan.Routed && local >= 0 && !n.Internal && n.NDP == plan.NDPAuto && n.Announce == "":
		return fmt.Errorf("option %s=%q with pool %s, which is unique local and known to no router: use %s or %s, a global --subnet, %s=%s where the uplink's neighbors have this prefix, %s=%s where you route it to the host, or %s=%s where BIRD or FRR announces it",
			keyMode, n.Mode, n.Pools[local].Prefix, plan.NAT, plan.NPTv6, keyNDP, plan.NDPOn, keyNDP, plan.NDPOff, keyAnnounce, plan.AnnouncePrefix)
	}
	return nil
}

// checkModeOptions refuses options that mean nothing in the network's mode.
func checkModeOptions(n plan.Network) error {
	switch {
	case n.HostIPv6.IsValid() && n.Mode != plan.NAT:
		return fmt.Errorf("option %s=%q is for mode %s, and this network's is %s: leave it out, or add -o %s=%s", keyHostIPv6, n.HostIPv6, plan.NAT, n.Mode, keyMode, plan.NAT)
	case n.Outside.IsValid() && n.Mode != plan.NPTv6:
		return fmt.Errorf("option %s=%q is for mode %s, and this network's is %s: leave it out, or add -o %s=%s", keyOutside, n.Outside, plan.NPTv6, n.Mode, keyMode, plan.NPTv6)
	case n.NoHostPorts && n.Mode == plan.NAT:
		return fmt.Errorf("option %s=\"off\" with mode %s: nothing could reach its containers; use on, or another mode", keyHostPublish, plan.NAT)
	case n.FastPath && !n.RoutedOut():
		return fmt.Errorf("option %s=%q: only addresses that are the same outside can go around the kernel; leave it out, or use -o %s=%s without --internal", keyDatapath, DatapathBPF, keyMode, plan.Routed)
	case n.FastPath && !n.NoHostPorts:
		return fmt.Errorf("option %s=%q with host ports, whose answers only the kernel can translate back: add -o %s=off, or leave it out", keyDatapath, DatapathBPF, keyHostPublish)
	case n.NDP == plan.NDPOn && (n.Mode == plan.NAT || n.Internal):
		return fmt.Errorf("option %s=%q: nobody outside sees this network's addresses; leave it out", keyNDP, n.NDP)
	case n.Announce != "" && !n.RoutedOut():
		return fmt.Errorf("option %s=%q: nobody outside sees this network's addresses; use %s, or -o %s=%s without --internal", keyAnnounce, n.Announce, plan.AnnounceNone, keyMode, plan.Routed)
	}
	if !n.Outside.IsValid() {
		return nil
	}
	pools := slices.DeleteFunc(n.Prefixes(), func(p netip.Prefix) bool { return p.Addr().Is4() })
	if len(pools) > 1 {
		return fmt.Errorf("option %s=%q with %d IPv6 pools: use one --subnet, or %s=auto", keyOutside, n.Outside, len(pools), keyOutside)
	}
	if pools[0].Bits() != n.Outside.Bits() {
		return fmt.Errorf("option %s=%q and pool %s differ in length: use a /%d, or a --subnet of /%d", keyOutside, n.Outside, pools[0], pools[0].Bits(), n.Outside.Bits())
	}
	return nil
}

// checkOutside refuses what the host as it is cannot translate to.
func checkOutside(n plan.Network, u uplink.Uplink, foreign inet.Foreign) error {
	if own := globals(foreign); n.HostIPv6.IsValid() && !slices.Contains(own, n.HostIPv6) {
		return fmt.Errorf("option %s=%q is not an address of the host: use one of %v, or leave it out for the kernel's choice", keyHostIPv6, n.HostIPv6, own)
	}
	if n.Mode != plan.NPTv6 {
		return nil
	}
	for _, pool := range n.Prefixes() {
		if !pool.Addr().Is6() {
			continue
		}
		for _, outside := range n.Outsides(pool, plan.Uplink{OnLink: u.OnLink}) {
			if err := foreign.CheckPool(outside); err != nil {
				return fmt.Errorf("pool %s is %s outside: %w", pool, outside, err)
			}
		}
		for _, p := range u.OnLink {
			if !n.Outside.IsValid() && inet.IsGUA(p.Addr()) && p.Bits() >= pool.Bits() {
				return fmt.Errorf("pool %s must be longer than the uplink's prefix %s, whose length it would have outside: use a --subnet of /80, or -o %s=PREFIX of /%d", pool, p, keyOutside, pool.Bits())
			}
		}
	}
	return nil
}

// globals returns the host's own IPv6 addresses that others can know.
func globals(foreign inet.Foreign) []netip.Addr {
	var own []netip.Addr
	for _, a := range foreign.Addrs {
		if a.Addr.Is6() && a.Addr.IsGlobalUnicast() {
			own = append(own, a.Addr)
		}
	}
	return own
}
