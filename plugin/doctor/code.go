package doctor

// A Code names one kind of finding. It never changes.
type Code string

// The codes, in the order of causes. docs/findings.md explains each.
const (
	KernelOld            Code = "kernel-old"
	KernelNoNftables     Code = "kernel-no-nftables"
	KernelNoNAT          Code = "kernel-no-nat"
	KernelNoBridgeFilter Code = "kernel-no-bridge-filter"
	KernelNoBridge       Code = "kernel-no-bridge"
	KernelNoVeth         Code = "kernel-no-veth"
	KernelProxyUnicast   Code = "kernel-proxy-unicast"
	IPv6Off              Code = "ipv6-off"
	CapabilityMissing    Code = "capability-missing"
	NeighborTable        Code = "neighbor-table"

	StoreDamaged  Code = "store-damaged"
	StoreNewer    Code = "store-newer"
	StoreLocked   Code = "store-locked"
	StoreFailing  Code = "store-failing"
	DaemonDown    Code = "daemon-down"
	SocketStale   Code = "socket-stale"
	SocketMissing Code = "socket-missing"

	UplinkMissing   Code = "uplink-missing"
	UplinkIPv6Off   Code = "uplink-ipv6-off"
	UplinkDown      Code = "uplink-down"
	UplinkNoCarrier Code = "uplink-no-carrier"
	RAIgnored       Code = "ra-ignored"
	NoDefaultRoute  Code = "no-default-route"
	NoPrefix        Code = "no-prefix"
	RouterSilent    Code = "router-silent"

	ForwardingOff      Code = "forwarding-off"
	IPv4ForwardingOff  Code = "ipv4-forwarding-off"
	ProxyNDPOff        Code = "proxy-ndp-off"
	ProxyNDPUnicastOff Code = "proxy-ndp-unicast-off"
	ProxyDelay         Code = "proxy-delay"
	ResponderMissing   Code = "responder-missing"
	ResponderFallback  Code = "responder-fallback"
	RARisk             Code = "ra-risk"

	BridgeMissing   Code = "bridge-missing"
	BridgeDown      Code = "bridge-down"
	BridgeSnooping  Code = "bridge-snooping"
	RouteMissing    Code = "route-missing"
	NeighborMissing Code = "neighbor-missing"
	ProxyMissing    Code = "proxy-missing"
	MTUTooLarge     Code = "mtu-too-large"

	RulesMissing Code = "rules-missing"
	FirewallDrop Code = "firewall-drop"
	PortTaken    Code = "port-taken"

	DuplicateAddress Code = "duplicate-address"
	ProxySilent      Code = "proxy-silent"
	SolicitationLost Code = "solicitation-lost"

	DockerAbsent      Code = "docker-absent"
	DockerOld         Code = "docker-old"
	DockerRootless    Code = "docker-rootless"
	DockerIPv6Names   Code = "docker-ipv6-names"
	DockerIPv6Default Code = "docker-ipv6-default"
	DockerNoNames     Code = "docker-no-names"
	NamesSilent       Code = "names-silent"
	NamesNoIPv6       Code = "names-no-ipv6"

	AddressWithdrawn Code = "address-withdrawn"
	StatusProblem    Code = "status-problem"
	StatusWarning    Code = "status-warning"
	StatusDrift      Code = "status-drift"
)
