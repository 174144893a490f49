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
	hostBinding4 netip.Addr
	mode         plan.Mode // empty: by the pool
	hostIPv6     netip.Addr
	outside      netip.Prefix
	ndp          string
	stableName   bool
	follow       bool
}

// An option is one -o key: how its value is checked and kept.
type option struct {
	set func(o *options, value string) error
	// use says what a right value looks like.
	use string
}

// ownPrefix starts the keys that are ours: one that is unknown is a mistake.
const ownPrefix = "ndp6."

// Keys that are named elsewhere too. keyInbound is an option of networks, and
// of endpoints, whose wins.
const (
	keyInbound      = ownPrefix + "inbound"
	keyMode         = ownPrefix + "mode"
	keyNDP          = ownPrefix + "ndp"
	keyHostIPv6     = ownPrefix + "host_ipv6"
	keyOutside      = ownPrefix + "outside"
	keyHostPublish  = ownPrefix + "host_publish"
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

// knownOptions returns the options by key. Those of Docker's own bridge driver
// have the meaning that they have there.
func knownOptions() map[string]option {
	mtu := option{setMTU, fmt.Sprintf("a number of bytes from %d to %d", minMTU, maxMTU)}
	return map[string]option{
		"ndp6.uplink":      {setUplink, "auto, or the name of a link of the host"},
		"ndp6.mtu":         mtu,
		"ndp6.dad":         {setDAD, "auto, wait, async or off"},
		keyMode:            {setMode, "routed, nat, nptv6 or isolated"},
		keyNDP:             {setNDP, "auto, on or off"},
		keyHostIPv6:        {setHostIPv6, "a global IPv6 address of the host"},
		keyOutside:         {setOutside, "auto, or the IPv6 prefix that the pool has outside"},
		keyInbound:         choice(func(o *options) *bool { return &o.open }, inboundOpen, inboundPublished),
		"ndp6.guard":       choice(func(o *options) *bool { return &o.unguarded }, "off", "strict"),
		"ndp6.host_access": choice(func(o *options) *bool { return &o.hostICMPOnly }, "icmp", "all"),
		keyHostPublish:     choice(func(o *options) *bool { return &o.noHostPorts }, "off", "on"),
		keyStable:          {setStable, stableName + ": an address made of the container's name"},
		keyRenumber:        choice(func(o *options) *bool { return &o.follow }, renumberFollow, renumberWarn),

		"com.docker.network.driver.mtu":                  mtu,
		"com.docker.network.bridge.name":                 {setBridge, "a link name of 1 to 15 bytes without spaces, slashes, colons and percent signs"},
		"com.docker.network.bridge.enable_icc":           no(func(o *options) *bool { return &o.isolated }),
		"com.docker.network.bridge.enable_ip_masquerade": no(func(o *options) *bool { return &o.noMasquerade }),
		"com.docker.network.bridge.host_binding_ipv4":    {setHostBinding4, "an IPv4 address of the host"},
		keyGatewayMode6: {setGatewayMode6, "routed, nat or isolated"},
		"com.docker.network.bridge.gateway_mode_ipv4": {only("nat"), "nat: IPv4 is not routed"},
	}
}

// choice is an option of two values, the second of which is the default.
func choice(field func(*options) *bool, set, unset string) option {
	return option{func(o *options, value string) error {
		if value != set && value != unset {
			return errValue
		}
		*field(o) = value == set
		return nil
	}, unset + " or " + set}
}

// no is an option that is true by default, kept as its opposite.
func no(field func(*options) *bool) option {
	return option{func(o *options, value string) error {
		on, err := strconv.ParseBool(value)
		*field(o) = !on
		return err
	}, "true or false"}
}

// parseOptions checks the options of a CreateNetwork request. Values that are
// not given get their defaults.
func parseOptions(generic map[string]any, defaultUplink string, log *slog.Logger) (options, error) {
	o := options{uplink: defaultUplink, dad: dadAuto}
	all := knownOptions()
	// Sorted, so that two mistakes are always reported in the same order.
	for _, key := range slices.Sorted(maps.Keys(generic)) {
		opt, ok := all[key]
		if !ok {
			if strings.HasPrefix(key, ownPrefix) {
				return options{}, fmt.Errorf("option %q is unknown: use one of %s", key, strings.Join(ownKeys(all), ", "))
			}
			log.Warn("option ignored", "key", key)
			continue
		}
		value := fmt.Sprint(generic[key])
		if err := opt.set(&o, value); err != nil {
			return options{}, fmt.Errorf("option %s=%q is not right: use %s", key, value, opt.use)
		}
	}
	return o, nil
}

func ownKeys(all map[string]option) []string {
	keys := slices.Sorted(maps.Keys(all))
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, ownPrefix) })
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
		if key != keyInbound {
			return false, fmt.Errorf("endpoint option %q is unknown: the only one of endpoints is %s; others are set with docker network create -o", key, keyInbound)
		}
		opt := knownOptions()[key]
		var o options
		value := fmt.Sprint(given[key])
		if err := opt.set(&o, value); err != nil {
			return false, fmt.Errorf("endpoint option %s=%q is not right: use %s", key, value, opt.use)
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
