package driver

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

// How the addresses of a network are probed on the uplink before use.
const (
	dadAuto  = "auto"  // wait where the user chose the address or the MAC, else async
	dadWait  = "wait"  // Join waits for the probe and refuses a duplicate
	dadAsync = "async" // the probe runs beside; a duplicate is withdrawn
	dadOff   = "off"
)

// RFC 8200 5: a link that carries IPv6 carries packets of 1280 octets.
const (
	minMTU = 1280
	maxMTU = 65535
)

// What of a container can be reached from outside its network.
const (
	inboundPublished = "published" // its published ports, and errors and echo of ICMP
	inboundOpen      = "open"      // everything
)

// What forwards the packets of published ports.
const (
	datapathKernel = "kernel"
	// DatapathBPF are eBPF programs in front of the kernel.
	DatapathBPF = "bpf"
)

// options are a network's driver options, checked.
type options struct {
	uplink       string
	mtu          int
	dad          string
	bridge       string
	noMasquerade bool
	open         bool
	unguarded    bool
	isolated     bool
	hostICMPOnly bool
	noHostPorts  bool
	fastPath     bool
	hostBinding4 netip.Addr
	mode         plan.Mode // empty: by the pool
	hostIPv6     netip.Addr
	outside      netip.Prefix
	ndp          string
	announce     string // empty: the setting's
	stableName   bool
	follow       bool
}

// ownPrefix starts the keys that are ours: one that is unknown is a mistake.
const ownPrefix = "ndp6."

// Keys that are named elsewhere too. keyInbound is an option of networks, and
// of endpoints, whose wins.
const (
	keyInbound      = ownPrefix + "inbound"
	keyMode         = ownPrefix + "mode"
	keyNDP          = ownPrefix + "ndp"
	keyAnnounce     = ownPrefix + "announce"
	keyHostIPv6     = ownPrefix + "host_ipv6"
	keyOutside      = ownPrefix + "outside"
	keyHostPublish  = ownPrefix + "host_publish"
	keyDatapath     = ownPrefix + "datapath"
	keyGatewayMode6 = "com.docker.network.bridge.gateway_mode_ipv6"
)

// Options that give containers more addresses than Docker knows of.
const (
	keyStable      = ownPrefix + "stable"
	stableName     = "name"
	keyRenumber    = ownPrefix + "renumber"
	renumberFollow = "follow"
	renumberWarn   = "warn"
)

// parseOptions checks the options of a CreateNetwork request. Values that are
// not given get their defaults.
func parseOptions(generic map[string]any, defaultUplink string, log *slog.Logger) (options, error) {
	o := options{uplink: defaultUplink, dad: dadAuto}
	// Sorted, so that two mistakes are always reported in the same order.
	for _, key := range slices.Sorted(maps.Keys(generic)) {
		opt, ok := find(key)
		if !ok {
			if strings.HasPrefix(key, ownPrefix) {
				return options{}, fmt.Errorf("option %q is unknown: use one of %s", key, strings.Join(ownKeys(), ", "))
			}
			log.Warn("option ignored", "key", key)
			continue
		}
		value := fmt.Sprint(generic[key])
		if err := opt.set(&o, value); err != nil {
			return options{}, fmt.Errorf("option %s=%q is not right: use %s", key, value, opt.Value)
		}
	}
	return o, nil
}

// parseEndpointOptions checks the options of a CreateEndpoint request and
// returns whether all of the container can be reached, which is the network's
// choice where the endpoint has none. A key of ours that is unknown is refused:
// a mistake should not pass as done.
func parseEndpointOptions(given map[string]any, open bool) (bool, error) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !strings.HasPrefix(key, ownPrefix) {
			continue
		}
		opt, ok := find(key)
		if !ok || !opt.Endpoint {
			return false, fmt.Errorf("endpoint option %q is unknown: the only one of endpoints is %s; others are set with docker network create -o", key, keyInbound)
		}
		var o options
		value := fmt.Sprint(given[key])
		if err := opt.set(&o, value); err != nil {
			return false, fmt.Errorf("endpoint option %s=%q is not right: use %s", key, value, opt.Value)
		}
		open = o.open
	}
	return open, nil
}

var errValue = errors.New("value not allowed")

func setUplink(o *options, value string) error {
	o.uplink = value
	if value == uplink.Auto || validLinkName(value) {
		return nil
	}
	return errValue
}

func setMTU(o *options, value string) (err error) {
	o.mtu, err = strconv.Atoi(value)
	if err == nil && (o.mtu < minMTU || o.mtu > maxMTU) {
		err = errValue
	}
	return err
}

func setDAD(o *options, value string) error {
	o.dad = value
	if slices.Contains([]string{dadAuto, dadWait, dadAsync, dadOff}, value) {
		return nil
	}
	return errValue
}

func setStable(o *options, value string) error {
	o.stableName = true
	return only(stableName)(o, value)
}

func setBridge(o *options, value string) error {
	o.bridge = value
	if validLinkName(value) {
		return nil
	}
	return errValue
}

func setHostBinding4(o *options, value string) (err error) {
	o.hostBinding4, err = netip.ParseAddr(value)
	if err == nil && !o.hostBinding4.Is4() {
		err = errValue
	}
	return err
}

func setMode(o *options, value string) error {
	o.mode = plan.Mode(value)
	if slices.Contains([]plan.Mode{plan.Routed, plan.NAT, plan.NPTv6, plan.Isolated}, o.mode) {
		return nil
	}
	return errValue
}

// setGatewayMode6 is setMode in the words of Docker's bridge. A mode of our own
// that is given too wins: keys are taken in their order.
func setGatewayMode6(o *options, value string) error {
	if plan.Mode(value) == plan.NPTv6 {
		return errValue // Docker has none
	}
	return setMode(o, value)
}

func setNDP(o *options, value string) error {
	switch value {
	case "auto":
		o.ndp = plan.NDPAuto
	case plan.NDPOn, plan.NDPOff:
		o.ndp = value
	default:
		return errValue
	}
	return nil
}

func setAnnounce(o *options, value string) error {
	o.announce = value
	if slices.Contains([]string{plan.AnnounceNone, plan.AnnouncePrefix, plan.AnnounceEndpoint}, value) {
		return nil
	}
	return errValue
}

func setHostIPv6(o *options, value string) (err error) {
	o.hostIPv6, err = netip.ParseAddr(value)
	if err == nil && (!o.hostIPv6.Is6() || !o.hostIPv6.IsGlobalUnicast() || o.hostIPv6.Zone() != "") {
		err = errValue
	}
	return err
}

func setOutside(o *options, value string) (err error) {
	if value == uplink.Auto {
		return nil
	}
	o.outside, err = netip.ParsePrefix(value)
	if err == nil && (!inet.IsGUA(o.outside.Addr()) || o.outside != o.outside.Masked()) {
		err = errValue
	}
	return err
}

// only is the check of an option with one value.
func only(right string) func(*options, string) error {
	return func(_ *options, value string) error {
		if value != right {
			return errValue
		}
		return nil
	}
}

// validLinkName is the kernel's rule for link names (dev_valid_name), which
// takes "%d" for a pattern.
func validLinkName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 15 &&
		utf8.ValidString(name) && !strings.ContainsAny(name, "/:%") &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
