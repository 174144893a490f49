package driver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Option describes a -o key of networks, for people.
type Option struct {
	Key string
	// Value says what a right value looks like. Errors say it too.
	Value string
	// Default is what holds without the option: a value, or words.
	Default string
	// Text is what the option is for, in Markdown without links.
	Text string
	// Page is the file of docs that says more, if any.
	Page string
	// Endpoint is true for options of single containers, too.
	Endpoint bool
}

// Options returns all options that networks have, in the order of the reference.
func Options() []Option {
	var all []Option
	for _, o := range known() {
		all = append(all, o.Option)
	}
	return all
}

// An option is one -o key: its description, and how its value is checked and kept.
type option struct {
	Option

	set func(o *options, value string) error
}

// known returns the options. Those of Docker's own bridge driver have the
// meaning that they have there.
func known() []option {
	mtu := fmt.Sprintf("a number of bytes from %d to %d", minMTU, maxMTU)
	return append([]option{
		{Option{
			Key: "ndp6.uplink", Value: "auto, or the name of a link of the host", Default: "the setting `--uplink`",
			Text: "Link towards the router. `auto` is that of the IPv6 default route.",
		}, setUplink},
		{Option{
			Key: keyMode, Value: "routed, nat, nptv6 or isolated", Default: "by the pool", Page: "modes.md",
			Text: "`routed`: addresses are the same everywhere (global pools). `nat`: hidden behind the host's (unique local pools). " +
				"`nptv6`: unique local inside, the uplink's current prefix outside. `isolated`: with `--internal`, not even the host is reached.",
		}, setMode},
		{Option{
			Key: keyHostIPv6, Value: "a global IPv6 address of the host", Default: "the kernel's choice",
			Text: "Address that a `nat` network leaves with.",
		}, setHostIPv6},
		{Option{
			Key: keyOutside, Value: "auto, or the IPv6 prefix that the pool has outside", Default: "`auto`",
			Text: "Prefix that an `nptv6` network has outside, as long as its pool. `auto` follows the uplink.",
		}, setOutside},
		{Option{
			Key: keyNDP, Value: "auto, on or off", Default: "`auto`",
			Text: "Proxy entries on the uplink: where its on-link prefix covers the address, always (`on`), or never (`off`: you route the pool to the host).",
		}, setNDP},
		{Option{
			Key: keyAnnounce, Value: "none, prefix or endpoint", Default: "the setting `--announce`", Page: "routed.md",
			Text: "What the host's BIRD or FRR announces: with `prefix` the pools, with `endpoint` the addresses of running containers, as kernel routes of protocol 166.",
		}, setAnnounce},
		{Option{Key: "ndp6.mtu", Value: mtu, Default: "the uplink's", Text: "MTU of the network."}, setMTU},
		{Option{
			Key: "ndp6.dad", Value: "auto, wait, async or off", Default: "`auto`", Page: "neighbor-discovery.md",
			Text: "Probing for duplicates: `wait` before the start, `async` beside it, `off`, or `auto`: wait where you chose the address or the MAC.",
		}, setDAD},
		choice(Option{
			Key: keyInbound, Page: "firewall.md", Endpoint: true,
			Text: "What reaches containers from outside their network: their published ports, or with `open` everything.",
		}, func(o *options) *bool { return &o.open }, inboundOpen, inboundPublished),
		choice(Option{
			Key:  keyHostPublish,
			Text: "`off`: `-p` opens the container's own IPv6 address only, and takes no IPv6 port of the host.",
		}, func(o *options) *bool { return &o.noHostPorts }, "off", "on"),
		choice(Option{
			Key: keyDatapath, Page: "datapath.md",
			Text: "`bpf`: eBPF programs forward what published ports receive and send, around the host's nftables and conntrack. " +
				"For routed networks with `ndp6.host_publish=off`; from Linux 5.12.",
		}, func(o *options) *bool { return &o.fastPath }, DatapathBPF, datapathKernel),
		choice(Option{
			Key:  "ndp6.guard",
			Text: "`off`: containers may send under MACs and addresses that are not theirs, as routers or virtual machines inside do.",
		}, func(o *options) *bool { return &o.unguarded }, "off", "strict"),
		choice(Option{
			Key:  "ndp6.host_access",
			Text: "`icmp`: containers reach published ports of the host, and nothing else of it but ICMP.",
		}, func(o *options) *bool { return &o.hostICMPOnly }, "icmp", "all"),
		{Option{
			Key: keyStable, Value: stableName + ": an address made of the container's name", Default: "off", Page: "addresses.md",
			Text: "`name`: a second address made of the container's name, which stays when the container is started or made again. " +
				"Asks Docker (`--docker-socket`); not in the managed plugin.",
		}, setStable},
		choice(Option{
			Key: keyRenumber, Page: "addresses.md",
			Text: "What happens when the uplink's prefix changes: a warning, or with `follow` running containers get addresses in the new prefix. " +
				"For pools that ndp6 took from the uplink, without `--subnet`; not in the managed plugin.",
		}, func(o *options) *bool { return &o.follow }, renumberFollow, renumberWarn),
	}, bridgeOptions(mtu)...)
}

// bridgeOptions are those that people know from Docker's bridge.
func bridgeOptions(mtu string) []option {
	return []option{
		{Option{
			Key: "com.docker.network.driver.mtu", Value: mtu, Default: "the uplink's",
			Text: "As `ndp6.mtu`, which wins.",
		}, setMTU},
		{Option{
			Key: "com.docker.network.bridge.name", Value: "a link name of 1 to 15 bytes without spaces, slashes, colons and percent signs",
			Default: "made of the network's id", Text: "Name of the network's bridge on the host.",
		}, setBridge},
		no(Option{
			Key:  "com.docker.network.bridge.enable_icc",
			Text: "`false`: containers of the network do not reach each other.",
		}, func(o *options) *bool { return &o.isolated }),
		no(Option{
			Key:  "com.docker.network.bridge.enable_ip_masquerade",
			Text: "`false`: IPv4 leaves with the containers' own addresses.",
		}, func(o *options) *bool { return &o.noMasquerade }),
		{Option{
			Key: "com.docker.network.bridge.host_binding_ipv4", Value: "an IPv4 address of the host", Default: "all of them",
			Text: "Address that IPv4 ports are published at where `-p` names none.",
		}, setHostBinding4},
		{Option{
			Key: keyGatewayMode6, Value: "routed, nat or isolated", Default: "by the pool", Page: "modes.md",
			Text: "As `ndp6.mode`, which wins.",
		}, setGatewayMode6},
		{Option{
			Key: "com.docker.network.bridge.gateway_mode_ipv4", Value: "nat: IPv4 is not routed", Default: "`nat`",
			Text: "There is no other.",
		}, only("nat")},
	}
}

// choice is an option of two values, the second of which is the default.
func choice(described Option, field func(*options) *bool, set, unset string) option {
	described.Value, described.Default = unset+" or "+set, "`"+unset+"`"
	return option{described, func(o *options, value string) error {
		if value != set && value != unset {
			return errValue
		}
		*field(o) = value == set
		return nil
	}}
}

// no is an option that is true by default, kept as its opposite.
func no(described Option, field func(*options) *bool) option {
	described.Value, described.Default = "true or false", "`true`"
	return option{described, func(o *options, value string) error {
		on, err := strconv.ParseBool(value)
		*field(o) = !on
		return err
	}}
}

// find returns the option of a key.
func find(key string) (option, bool) {
	for _, o := range known() {
		if o.Key == key {
			return o, true
		}
	}
	return option{}, false
}

// ownKeys are the keys that are ours, sorted.
func ownKeys() []string {
	var keys []string
	for _, o := range known() {
		if strings.HasPrefix(o.Key, ownPrefix) {
			keys = append(keys, o.Key)
		}
	}
	slices.Sort(keys)
	return keys
}
