package settings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
)

// A setting is one row of the table that drives flags, environment and
// reference alike.
type setting struct {
	flag, env   string
	placeholder string // stands for the value in the reference
	value       string // the default
	list        bool   // the flag may be given several times
	hidden      bool   // errors do not show the value
	title       string // one line
	more        string // what the title leaves open
	set         func(*Settings, string) error
}

func table() []setting {
	return append(hostTable(), etcdTable()...)
}

// hostTable are the settings that matter without a cluster.
func hostTable() []setting {
	return []setting{
		{
			flag: "socket", env: "NDP6_SOCKET", placeholder: "PATH,...", list: true,
			value: "/run/docker/plugins/ndp6.sock",
			title: "sockets to answer Docker on",
			more:  "Docker finds the driver NAME at /run/docker/plugins/NAME.sock.",
			set: func(s *Settings, v string) (err error) {
				s.Sockets, err = parseSockets(v)
				return err
			},
		},
		{
			flag: "state-dir", env: "NDP6_STATE_DIR", placeholder: "DIR",
			value: "/var/lib/ndp6",
			title: "directory of networks, pools, leases and secrets",
			more:  "It must outlive the host's boots, or the networks that Docker knows are lost.",
			set: func(s *Settings, v string) error {
				s.StateDir = v
				return checkPath(v)
			},
		},
		{
			flag: "uplink", env: "NDP6_UPLINK", placeholder: "LINK",
			value: Auto,
			title: "host link towards the router, for networks that name none",
			more:  "auto is the link of the IPv6 default route. A network's own is -o ndp6.uplink=LINK.",
			set: func(s *Settings, v string) error {
				s.Uplink = v
				return checkLink(v)
			},
		},
		{
			flag: "pools", env: "NDP6_POOLS", placeholder: "PREFIX,...", list: true,
			value: "",
			title: "IPv6 blocks for networks without an IPv6 --subnet",
			more:  "Of any length, such as a provider's /48 or /56, and tried in their order. Each network gets a /80, or what --prefix-len says.",
			set: func(s *Settings, v string) (err error) {
				s.Pools, err = parsePools(v, ipv6())
				return err
			},
		},
		{
			flag: "pool-source", env: "NDP6_POOL_SOURCE", placeholder: "SOURCE",
			value: string(source.Auto),
			title: "where pools of networks without an IPv6 --subnet come from",
			more: "block: --pools. uplink: its global on-link prefix. routed: a global prefix that is routed to the host. ula: a random unique local /48.\n" +
				"auto: the first of these that there is. A network's own is --ipam-opt ndp6.source=SOURCE.",
			set: func(s *Settings, v string) (err error) {
				s.PoolSource, err = source.ParseFrom(v)
				return err
			},
		},
		{
			flag: "prefix-len", env: "NDP6_PREFIX_LEN", placeholder: "LENGTH",
			value: "80",
			title: "length of those pools",
			more:  "64 to 126; beyond 80, addresses are numbered one by one. A network's own is --ipam-opt ndp6.prefix_len=LENGTH.",
			set: func(s *Settings, v string) (err error) {
				s.PrefixLen, err = source.ParseBits(v)
				return err
			},
		},
		{
			flag: "ipv4-pools", env: "NDP6_IPV4_POOLS", placeholder: "PREFIX,...", list: true,
			value: "10.166.0.0/16",
			title: "IPv4 blocks for networks without an IPv4 --subnet",
			more:  "Each network gets a /24. none makes such networks IPv6-only; from Docker 28, docker network create --ipv4=false does so for one network.",
			set: func(s *Settings, v string) (err error) {
				if s.NoIPv4 = v == none; !s.NoIPv4 {
					s.IPv4Pools, err = parsePools(v, ipv4())
				}
				return err
			},
		},
		{
			flag: "iid", env: "NDP6_IID", placeholder: "MODE",
			value: string(alloc.MAC),
			title: "what an automatic IPv6 address is made from",
			more:  "One of " + oneOf(alloc.Modes()...) + ". name needs Docker 29. A network's own is --ipam-opt ndp6.iid=MODE.",
			set: func(s *Settings, v string) (err error) {
				s.IID, err = choose(v, alloc.Modes()...)
				return err
			},
		},
		{
			flag: "announce", env: "NDP6_ANNOUNCE", placeholder: "WHAT",
			value: plan.AnnounceNone,
			title: "what a routing daemon is told of networks that do not say it",
			more:  "none, prefix or endpoint, for networks in mode routed. A network's own is -o ndp6.announce=WHAT.",
			set: func(s *Settings, v string) (err error) {
				s.Announce, err = choose(v, plan.AnnounceNone, plan.AnnouncePrefix, plan.AnnounceEndpoint)
				return err
			},
		},
		{
			flag: "route-protocol", env: "NDP6_ROUTE_PROTOCOL", placeholder: "NUMBER",
			value: strconv.Itoa(plan.Protocol),
			title: "protocol of announced routes, by which a routing daemon knows them",
			more:  "A number that no other program of the host has: see rt_protos(5).",
			set: func(s *Settings, v string) (err error) {
				s.RouteProtocol, err = parseProtocol(v)
				return err
			},
		},
		{
			flag: "scope", env: "NDP6_SCOPE", placeholder: "SCOPE",
			value: string(Local),
			title: "whose networks are: each host's own, or a swarm's",
			more: "local: each host has its pools; in a swarm, each node's part of a network has its own. global: a swarm's managers give addresses of one pool\n" +
				"to containers of all nodes. Only as a managed plugin, and the same on all nodes.",
			set: func(s *Settings, v string) (err error) {
				s.Scope, err = choose(v, Local, Global)
				return err
			},
		},
		{
			flag: "sysctls", env: "NDP6_SYSCTLS", placeholder: "WHO",
			value: string(Manage),
			title: "who sets the sysctls of neighbor discovery and forwarding",
			more:  "manage: ndp6 does, and restores them after the last network. check: you do, and ndp6 refuses networks with the commands to run.",
			set: func(s *Settings, v string) (err error) {
				s.Sysctls, err = choose(v, Manage, Check)
				return err
			},
		},
		{
			flag: "sysctl-dir", env: "NDP6_SYSCTL_DIR", placeholder: "DIR",
			value: "/proc/sys/net",
			title: "where the net sysctls can be written",
			more:  "In a managed plugin /proc/sys is read-only, so that it mounts the host's elsewhere.",
			set: func(s *Settings, v string) error {
				s.SysctlDir = v
				return checkPath(v)
			},
		},
		{
			flag: "sysctl-dropin", env: "NDP6_SYSCTL_DROPIN", placeholder: "PATH",
			value: none,
			title: "a sysctl.d file to keep, with the sysctls that ndp6 has set",
			more:  "With it, sysctl --system does not undo them while ndp6 is down. The system service has /run/sysctl.d/zz-ndp6.conf. none: no file.",
			set: func(s *Settings, v string) error {
				if v == none || v == "" {
					return nil
				}
				s.SysctlDropin = v
				return checkPath(v)
			},
		},
		{
			flag: "responder", env: "NDP6_RESPONDER", placeholder: "KIND",
			value: string(plan.AnswerAuto),
			title: "what answers neighbor solicitations on uplinks",
			more: "kernel: the kernel's proxy entries. bpf: an eBPF program in front of them, which costs the same with one address and with 100,000.\n" +
				"auto: bpf where the kernel lets ndp6 run it, else kernel. It is not a network's, as networks share uplinks. ndp6 status says which and why.",
			set: func(s *Settings, v string) (err error) {
				s.Responder, err = choose(v, plan.AnswerAuto, plan.AnswerKernel, plan.AnswerBPF)
				return err
			},
		},
		{
			flag: "na-source", env: "NDP6_NA_SOURCE", placeholder: "SOURCE",
			value: string(plan.SourceAuto),
			title: "what address bpf's answers come from",
			more: "auto: one of the uplink that fits who asks, as the kernel's do. link-local: the uplink's link-local one. " +
				"target: the address that was asked for, where a provider drops what comes from others.",
			set: func(s *Settings, v string) (err error) {
				s.NASource, err = choose(v, plan.SourceAuto, plan.SourceTarget, plan.SourceLinkLocal)
				return err
			},
		},
		{
			flag: "firewalld", env: "NDP6_FIREWALLD", placeholder: "WHO",
			value: string(Manage),
			title: "who tells firewalld, where it runs, to let the networks' packets pass",
			more:  "manage: ndp6 puts the bridges into a zone of their own, as Docker does. ignore: you do.",
			set: func(s *Settings, v string) error {
				who, err := choose(v, Manage, Ignore)
				s.Firewalld = who == Manage
				return err
			},
		},
		{
			flag: "resync-period", env: "NDP6_RESYNC_PERIOD", placeholder: "DURATION",
			value: "60s",
			title: "how often the whole host is compared with the plan when nothing happens",
			more:  "At least 1s. What others change is noticed at once or within half a second; this is for what has no event.",
			set: func(s *Settings, v string) (err error) {
				s.ResyncPeriod, err = parsePeriod(v)
				return err
			},
		},
		{
			flag: "docker-socket", env: "NDP6_DOCKER_SOCKET", placeholder: "PATH",
			value: "/run/docker.sock",
			title: "where Docker is asked what it still has",
			more:  "What it forgot while the plugin was down is removed then, and ndp6.stable and ndp6 status learn names there. none: it is never asked.",
			set: func(s *Settings, v string) error {
				if v == none || v == "" {
					return nil
				}
				s.DockerSocket = v
				return checkPath(v)
			},
		},
		{
			flag: "metrics-addr", env: "NDP6_METRICS_ADDR", placeholder: "ADDRESS:PORT",
			value: "",
			title: "TCP address to serve metrics on, for Prometheus",
			more:  "Such as [::1]:9166, or :9166 for all of the host's. Whoever reaches it reads them. admin.sock in the state directory has them as well.",
			set: func(s *Settings, v string) (err error) {
				s.MetricsAddr, err = parseListen(v)
				return err
			},
		},
		{
			flag: "log-level", env: "NDP6_LOG_LEVEL", placeholder: "LEVEL",
			value: "info",
			title: "least severe level that is logged",
			more:  "One of " + oneOf(levels()...) + ". debug has a line for each of Docker's calls.",
			set: func(s *Settings, v string) error {
				if _, err := choose(v, levels()...); err != nil {
					return err
				}
				return s.LogLevel.UnmarshalText([]byte(v))
			},
		},
		{
			flag: "log-format", env: "NDP6_LOG_FORMAT", placeholder: "FORMAT",
			value: string(Text),
			title: "how log lines are written",
			more:  "One of " + oneOf(Text, JSON) + ".",
			set: func(s *Settings, v string) (err error) {
				s.LogFormat, err = choose(v, Text, JSON)
				return err
			},
		},
	}
}

// Setting describes one setting, for people.
type Setting struct {
	Flag, Env string
	// Placeholder stands for the value.
	Placeholder string
	// Default is empty where there is none.
	Default string
	// Title says in a line what it is, More what the title leaves open.
	Title, More string
}

// All returns the description of every setting.
func All() []Setting {
	var all []Setting
	for _, s := range table() {
		all = append(all, Setting{s.flag, s.env, s.placeholder, s.value, s.title, s.more})
	}
	return all
}

// Reference returns the description of every setting, as a command prints it.
func Reference() string {
	var b strings.Builder
	for i, s := range All() {
		if i > 0 {
			b.WriteByte('\n')
		}
		if s.Default == "" {
			s.Default = "none"
		}
		fmt.Fprintf(&b, "  --%s %s\n      %s\n      %s\n      environment %s, default %s\n",
			s.Flag, s.Placeholder, s.Title, strings.ReplaceAll(s.More, "\n", "\n      "), s.Env, s.Default)
	}
	return b.String()
}
