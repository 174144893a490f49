package settings_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/plugin/settings"
)

var prefixes = cmpopts.EquateComparable(netip.Prefix{})

func read(args []string, env map[string]string) (settings.Settings, error) {
	fs := pflag.NewFlagSet("ndp6", pflag.ContinueOnError)
	settings.Define(fs)
	if err := fs.Parse(args); err != nil {
		return settings.Settings{}, err
	}
	return settings.Read(fs, func(key string) string { return env[key] })
}

func defaults(change func(*settings.Settings)) settings.Settings {
	s := settings.Settings{
		Sockets:   []string{"/run/docker/plugins/ndp6.sock"},
		StateDir:  "/var/lib/ndp6",
		Uplink:    settings.Auto,
		IPv4Pools: []netip.Prefix{netip.MustParsePrefix("10.166.0.0/16")},
		Sysctls:   settings.Manage,
		SysctlDir: "/proc/sys/net",
		Responder: plan.AnswerAuto,
		NASource:  plan.SourceAuto,
		Firewalld: true,
		IID:       alloc.MAC,
		Scope:     settings.Local,
		PrefixLen: 80,
		LogLevel:  slog.LevelInfo,
		LogFormat: settings.Text,

		Announce:      plan.AnnounceNone,
		RouteProtocol: plan.Protocol,

		PoolSource:   source.Auto,
		ResyncPeriod: time.Minute,
		DockerSocket: "/run/docker.sock",
		Etcd:         settings.Etcd{Lease: time.Minute, Hold: time.Minute},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		args string
		env  map[string]string
		want settings.Settings
	}{
		{
			name: "nothing given",
			want: defaults(nil),
		},
		{
			name: "every flag",
			args: "--socket /run/a.sock --state-dir /srv/ndp6 --uplink eth1 --pools 2001:db8:1::/64 --ipv4-pools 10.1.0.0/16,10.2.0.0/16 --pool-source ula --prefix-len 64 --iid name --announce endpoint --route-protocol 200 --sysctls check --sysctl-dir /hostnet --sysctl-dropin /run/z.conf --responder bpf --na-source target --firewalld ignore --docker-socket /run/d.sock --metrics-addr 127.0.0.1:9166 --resync-period 1s --log-level debug --log-format json " +
				"--etcd https://a.example:2379 --etcd https://[2001:db8::1]:2379 --etcd-ca /ca --etcd-cert /cert --etcd-key /key --etcd-user box --etcd-password-file /secret --etcd-lease 10s --peer-hold 20s --host-id box1",
			want: settings.Settings{
				Sockets:   []string{"/run/a.sock"},
				StateDir:  "/srv/ndp6",
				Uplink:    "eth1",
				Pools:     []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")},
				IPv4Pools: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16")},
				Sysctls:   settings.Check,
				SysctlDir: "/hostnet",

				SysctlDropin: "/run/z.conf",
				Responder:    plan.AnswerBPF,
				NASource:     plan.SourceTarget,

				Announce:      plan.AnnounceEndpoint,
				RouteProtocol: 200,

				IID:       alloc.Name,
				Scope:     settings.Local,
				PrefixLen: 64,
				LogLevel:  slog.LevelDebug,
				LogFormat: settings.JSON,

				PoolSource:   source.ULA,
				ResyncPeriod: time.Second,
				DockerSocket: "/run/d.sock",
				MetricsAddr:  "127.0.0.1:9166",

				Etcd: settings.Etcd{
					Endpoints: []string{"https://a.example:2379", "https://[2001:db8::1]:2379"},
					CA:        "/ca", Cert: "/cert", Key: "/key", User: "box", PasswordFile: "/secret", HostID: "box1",
					Lease: 10 * time.Second, Hold: 20 * time.Second,
				},
			},
		},
		{
			name: "every variable",
			env: map[string]string{
				"NDP6_SOCKET": "/run/a.sock, /run/b.sock", "NDP6_STATE_DIR": "/srv/ndp6", "NDP6_UPLINK": "eth1",
				"NDP6_POOLS": "2001:db8:1::/64,fd00:1::/48", "NDP6_IPV4_POOLS": "none", "NDP6_POOL_SOURCE": "routed", "NDP6_PREFIX_LEN": "96", "NDP6_IID": "packed", "NDP6_SCOPE": "global", "NDP6_ANNOUNCE": "endpoint", "NDP6_ROUTE_PROTOCOL": "200",
				"NDP6_SYSCTLS": "check", "NDP6_SYSCTL_DIR": "/hostnet", "NDP6_SYSCTL_DROPIN": "/run/z.conf", "NDP6_RESPONDER": "auto", "NDP6_NA_SOURCE": "link-local", "NDP6_FIREWALLD": "ignore", "NDP6_RESYNC_PERIOD": "2m30s", "NDP6_DOCKER_SOCKET": "none", "NDP6_METRICS_ADDR": "[::1]:9166", "NDP6_LOG_LEVEL": "error", "NDP6_LOG_FORMAT": "json",
				"NDP6_ETCD": "http://192.0.2.1:2379, http://192.0.2.2:2379", "NDP6_ETCD_CA": "/ca", "NDP6_ETCD_CERT": "/cert", "NDP6_ETCD_KEY": "/key", "NDP6_ETCD_USER": "box", "NDP6_ETCD_PASSWORD_FILE": "/secret",
				"NDP6_ETCD_LEASE": "2s", "NDP6_PEER_HOLD": "1s", "NDP6_HOST_ID": "box1",
			},
			want: settings.Settings{
				Sockets:   []string{"/run/a.sock", "/run/b.sock"},
				StateDir:  "/srv/ndp6",
				Uplink:    "eth1",
				Pools:     []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParsePrefix("fd00:1::/48")},
				NoIPv4:    true,
				Sysctls:   settings.Check,
				SysctlDir: "/hostnet",

				SysctlDropin: "/run/z.conf",
				Responder:    plan.AnswerAuto,
				NASource:     plan.SourceLinkLocal,

				Announce:      plan.AnnounceEndpoint,
				RouteProtocol: 200,

				IID:       alloc.Packed,
				Scope:     settings.Global,
				PrefixLen: 96,
				LogLevel:  slog.LevelError,
				LogFormat: settings.JSON,

				PoolSource:   source.Routed,
				ResyncPeriod: 150 * time.Second,
				MetricsAddr:  "[::1]:9166",

				Etcd: settings.Etcd{
					Endpoints: []string{"http://192.0.2.1:2379", "http://192.0.2.2:2379"},
					CA:        "/ca", Cert: "/cert", Key: "/key", User: "box", PasswordFile: "/secret", HostID: "box1",
					Lease: 2 * time.Second, Hold: time.Second,
				},
			},
		},
		{
			name: "flag wins over variable",
			args: "--uplink eth1",
			env:  map[string]string{"NDP6_UPLINK": "eth2", "NDP6_IID": "name"},
			want: defaults(func(s *settings.Settings) { s.Uplink, s.IID = "eth1", alloc.Name }),
		},
		{
			name: "good flag hides bad variable",
			args: "--sysctls check",
			env:  map[string]string{"NDP6_SYSCTLS": "maybe"},
			want: defaults(func(s *settings.Settings) { s.Sysctls = settings.Check }),
		},
		{
			name: "empty flag wins over variable",
			args: "--pools=",
			env:  map[string]string{"NDP6_POOLS": "fd00:1::/48"},
			want: defaults(nil),
		},
		{
			name: "metrics on all addresses",
			args: "--metrics-addr :9166",
			want: defaults(func(s *settings.Settings) { s.MetricsAddr = ":9166" }),
		},
		{
			name: "no Docker to ask",
			args: "--docker-socket=",
			want: defaults(func(s *settings.Settings) { s.DockerSocket = "" }),
		},
		{
			name: "empty variable",
			env:  map[string]string{"NDP6_UPLINK": "", "NDP6_SOCKET": ""},
			want: defaults(nil),
		},
		{
			name: "repeated lists",
			args: "--socket /run/a.sock --socket /run/b.sock,/run/c.sock --pools fd00:1::/48 --pools fd00:2::/48",
			want: defaults(func(s *settings.Settings) {
				s.Sockets = []string{"/run/a.sock", "/run/b.sock", "/run/c.sock"}
				s.Pools = []netip.Prefix{netip.MustParsePrefix("fd00:1::/48"), netip.MustParsePrefix("fd00:2::/48")}
			}),
		},
		{
			name: "repeated value",
			args: "--uplink eth1 --uplink eth2",
			want: defaults(func(s *settings.Settings) { s.Uplink = "eth2" }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(strings.Fields(tt.args), tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, prefixes); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	for _, tt := range []struct{ name, flag, value, err string }{
		{"no socket", "socket", " ", `--socket (NDP6_SOCKET) " ": want at least one path, such as /run/docker/plugins/ndp6.sock`},
		{"relative socket", "socket", "ndp6.sock", `--socket (NDP6_SOCKET) "ndp6.sock": path "ndp6.sock" is not absolute: want one that starts with /`},
		{"same socket", "socket", "/a,/a", `--socket (NDP6_SOCKET) "/a,/a": /a is there twice: want each path once`},
		{"gap in a list", "socket", "/a,,/b", `--socket (NDP6_SOCKET) "/a,,/b": path "" is not absolute: want one that starts with /`},
		{"relative directory", "state-dir", "state", `--state-dir (NDP6_STATE_DIR) "state": path "state" is not absolute: want one that starts with /`},
		{"relative docker socket", "docker-socket", "docker.sock", `--docker-socket (NDP6_DOCKER_SOCKET) "docker.sock": path "docker.sock" is not absolute: want one that starts with /`},
		{"roundabout directory", "sysctl-dir", "/proc/sys/../sys/net", `--sysctl-dir (NDP6_SYSCTL_DIR) "/proc/sys/../sys/net": path "/proc/sys/../sys/net" has more to it than it needs: want /proc/sys/net`},
		{"empty link", "uplink", "", `--uplink (NDP6_UPLINK) "": no link can have this name: want auto, or one that ip link lists, of at most 15 bytes`},
		{"long link", "uplink", "enp0s31f6enp0s31", `--uplink (NDP6_UPLINK) "enp0s31f6enp0s31": no link can have this name: want auto, or one that ip link lists, of at most 15 bytes`},
		{"link with a slash", "uplink", "a/b", `--uplink (NDP6_UPLINK) "a/b": no link can have this name: want auto, or one that ip link lists, of at most 15 bytes`},
		{"not a prefix", "pools", "2001:db8::1", `--pools (NDP6_POOLS) "2001:db8::1": "2001:db8::1" is not a prefix: want one such as 2001:db8:1::/64 or fd00:1::/48`},
		{"IPv4 for IPv6", "pools", "10.1.0.0/16", `--pools (NDP6_POOLS) "10.1.0.0/16": 10.1.0.0/16 is not global or unique local IPv6: want a prefix such as 2001:db8:1::/64 or fd00:1::/48`},
		{"link-local pool", "pools", "fe80::/64", `--pools (NDP6_POOLS) "fe80::/64": fe80::/64 is not global or unique local IPv6: want a prefix such as 2001:db8:1::/64 or fd00:1::/48`},
		{"mapped pool", "pools", "::ffff:10.0.0.0/104", `--pools (NDP6_POOLS) "::ffff:10.0.0.0/104": ::ffff:10.0.0.0/104 is not global or unique local IPv6: want a prefix such as 2001:db8:1::/64 or fd00:1::/48`},
		{"host bits", "pools", "2001:db8:1::5/64", `--pools (NDP6_POOLS) "2001:db8:1::5/64": 2001:db8:1::5/64 has bits beyond its length: want 2001:db8:1::/64`},
		{"overlap", "pools", "fd00:1::/48,fd00:1:0:1::/64", `--pools (NDP6_POOLS) "fd00:1::/48,fd00:1:0:1::/64": fd00:1:0:1::/64 overlaps fd00:1::/48: want one of the two`},
		{"IPv6 for IPv4", "ipv4-pools", "fd00::/48", `--ipv4-pools (NDP6_IPV4_POOLS) "fd00::/48": fd00::/48 is not unicast IPv4: want a prefix such as 10.166.0.0/16, or none`},
		{"no IPv4 pools", "ipv4-pools", "", `--ipv4-pools (NDP6_IPV4_POOLS) "": want prefixes such as 10.166.0.0/16, or none`},
		{"pool source", "pool-source", "given", `--pool-source (NDP6_POOL_SOURCE) "given": want one of auto, block, uplink, routed, ula`},
		{"short prefix", "prefix-len", "56", `--prefix-len (NDP6_PREFIX_LEN) "56": want a number from 64 to 126`},
		{"prefix with a slash", "prefix-len", "/80", `--prefix-len (NDP6_PREFIX_LEN) "/80": want a number from 64 to 126`},
		{"iid", "iid", "random", `--iid (NDP6_IID) "random": want one of mac, name, sequential, opaque, packed`},
		{"sysctls", "sysctls", "Manage", `--sysctls (NDP6_SYSCTLS) "Manage": want one of manage, check`},
		{"announced things", "announce", "pool", `--announce (NDP6_ANNOUNCE) "pool": want one of none, prefix, endpoint`},
		{"protocol of administrators", "route-protocol", "4", `--route-protocol (NDP6_ROUTE_PROTOCOL) "4": want a number from 5 to 255 that no other program has, such as 166`},
		{"protocol beyond a byte", "route-protocol", "256", `--route-protocol (NDP6_ROUTE_PROTOCOL) "256": want a number from 5 to 255 that no other program has, such as 166`},
		{"name of a protocol", "route-protocol", "ndp6", `--route-protocol (NDP6_ROUTE_PROTOCOL) "ndp6": want a number from 5 to 255 that no other program has, such as 166`},
		{"protocol of a daemon", "route-protocol", "12", `--route-protocol (NDP6_ROUTE_PROTOCOL) "12": protocol 12 is that of BIRD: want one that no other program has, such as 166`},
		{"responder", "responder", "ebpf", `--responder (NDP6_RESPONDER) "ebpf": want one of auto, kernel, bpf`},
		{"source of answers", "na-source", "global", `--na-source (NDP6_NA_SOURCE) "global": want one of auto, target, link-local`},
		{"period without a unit", "resync-period", "60", `--resync-period (NDP6_RESYNC_PERIOD) "60": not a duration: want one such as 60s or 5m`},
		{"short period", "resync-period", "999ms", `--resync-period (NDP6_RESYNC_PERIOD) "999ms": too short: want at least 1s`},
		{"negative period", "resync-period", "-1m", `--resync-period (NDP6_RESYNC_PERIOD) "-1m": too short: want at least 1s`},
		{"metrics on a name", "metrics-addr", "localhost:9166", `--metrics-addr (NDP6_METRICS_ADDR) "localhost:9166": not an IP address and a port: want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses`},
		{"metrics without a port", "metrics-addr", "::1", `--metrics-addr (NDP6_METRICS_ADDR) "::1": not an IP address and a port: want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses`},
		{"metrics on any port", "metrics-addr", "127.0.0.1:0", `--metrics-addr (NDP6_METRICS_ADDR) "127.0.0.1:0": port 0 is another one at each start: want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses`},
		{"metrics on a group", "metrics-addr", "[ff02::1]:9166", `--metrics-addr (NDP6_METRICS_ADDR) "[ff02::1]:9166": ff02::1 is no address of a host: want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses`},
		{"metrics on a service", "metrics-addr", ":http", `--metrics-addr (NDP6_METRICS_ADDR) ":http": "http" is not a port from 1 to 65535: want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses`},
		{"etcd without a scheme", "etcd", "192.0.2.1:2379", `--etcd (NDP6_ETCD): not a URL: want a URL such as https://192.0.2.1:2379`},
		{"etcd without a port", "etcd", "https://a.example", `--etcd (NDP6_ETCD): "https://a.example" has no port: want a URL such as https://192.0.2.1:2379`},
		{"etcd with a path", "etcd", "https://a.example:2379/v3", `--etcd (NDP6_ETCD): "https://a.example:2379/v3": want a URL such as https://192.0.2.1:2379`},
		{"etcd with a password", "etcd", "https://box:secret@a.example:2379", `--etcd (NDP6_ETCD): a URL has a user: give --etcd-user and --etcd-password-file`},
		{"relative authority", "etcd-ca", "ca.pem", `--etcd-ca (NDP6_ETCD_CA) "ca.pem": path "ca.pem" is not absolute: want one that starts with /`},
		{"authority without etcd", "etcd-ca", "/ca", `--etcd-ca (NDP6_ETCD_CA) "/ca": give --etcd (NDP6_ETCD) as well`},
		{"short lease", "etcd-lease", "1s", `--etcd-lease (NDP6_ETCD_LEASE) "1s": too short: want at least 2s`},
		{"host id", "host-id", "a/b", `--host-id (NDP6_HOST_ID) "a/b": want 1 to 64 letters, digits, dots, dashes and underscores, such as a machine-id(5)`},
		{"level", "log-level", "INFO+2", `--log-level (NDP6_LOG_LEVEL) "INFO+2": want one of debug, info, warn, error`},
		{"format", "log-format", "xml", `--log-format (NDP6_LOG_FORMAT) "xml": want one of text, json`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read([]string{"--" + tt.flag + "=" + tt.value}, nil)
			checkError(t, err, tt.err)
			if tt.value == "" {
				return // An empty variable means the default.
			}
			env := "NDP6_" + strings.ToUpper(strings.ReplaceAll(tt.flag, "-", "_"))
			_, err = read(nil, map[string]string{env: tt.value})
			checkError(t, err, tt.err)
		})
	}
	t.Run("source of the kernel's answers", func(t *testing.T) {
		_, err := read([]string{"--responder=kernel", "--na-source=target"}, nil)
		checkError(t, err, `--na-source (NDP6_NA_SOURCE) "target": not with --responder kernel, which chooses by itself: leave it at auto, or choose --responder bpf`)
	})
	t.Run("halves", func(t *testing.T) {
		_, err := read([]string{"--etcd=http://192.0.2.1:2379", "--etcd-cert=/cert", "--etcd-user=box"}, nil)
		checkError(t, err, `--etcd-cert (NDP6_ETCD_CERT) "/cert": give --etcd-key (NDP6_ETCD_KEY) as well
--etcd-user (NDP6_ETCD_USER) "box": give --etcd-password-file (NDP6_ETCD_PASSWORD_FILE) as well`)
	})
	t.Run("all at once", func(t *testing.T) {
		_, err := read([]string{"--iid=x", "--sysctls=y"}, nil)
		checkError(t, err, `--iid (NDP6_IID) "x": want one of mac, name, sequential, opaque, packed
--sysctls (NDP6_SYSCTLS) "y": want one of manage, check`)
	})
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// TestReadSome: a command that needs one setting does not mind the others.
func TestReadSome(t *testing.T) {
	fs := pflag.NewFlagSet("ndp6", pflag.ContinueOnError)
	settings.Define(fs, "state-dir")
	got, err := settings.Read(fs, func(key string) string {
		return map[string]string{"NDP6_STATE_DIR": "/srv/ndp6", "NDP6_IID": "bad"}[key]
	})
	checkError(t, err, "")
	if diff := cmp.Diff(settings.Settings{StateDir: "/srv/ndp6"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestReference has every flag and its variable in what people read.
func TestReference(t *testing.T) {
	fs := pflag.NewFlagSet("ndp6", pflag.ContinueOnError)
	settings.Define(fs)
	reference := settings.Reference()
	fs.VisitAll(func(f *pflag.Flag) {
		env := "NDP6_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if !strings.Contains(reference, "  --"+f.Name+" ") || !strings.Contains(reference, "environment "+env+", default ") {
			t.Errorf("--%s is not in the reference, or without %s", f.Name, env)
		}
	})
}

// FuzzRead looks for values that get through and are not what they say.
func FuzzRead(f *testing.F) {
	f.Add("socket", "/run/a.sock,/run/b.sock")
	f.Add("state-dir", "/var/lib/ndp6")
	f.Add("uplink", "eth0")
	f.Add("pools", "2001:db8::/32,fd00::/8")
	f.Add("ipv4-pools", "10.0.0.0/8")
	f.Add("ipv4-pools", "none")
	f.Add("prefix-len", "64")
	f.Add("log-level", "debug")
	f.Add("resync-period", "1h")
	f.Add("etcd", "https://a.example:2379")
	f.Fuzz(func(t *testing.T, flag, value string) {
		s, err := read([]string{"--" + flag + "=" + value}, nil)
		if err != nil {
			return
		}
		for i, p := range append(s.Pools, s.IPv4Pools...) {
			if p != p.Masked() || p.Addr().Is4() != (i >= len(s.Pools)) {
				t.Errorf("--%s=%q gave pool %s", flag, value, p)
			}
		}
		if s.PrefixLen < 64 || s.PrefixLen > 126 {
			t.Errorf("--%s=%q gave length %d", flag, value, s.PrefixLen)
		}
		if s.ResyncPeriod < time.Second || len(s.Sockets) == 0 || s.NoIPv4 == (len(s.IPv4Pools) > 0) || len(s.Uplink) == 0 || len(s.Uplink) > 15 {
			t.Errorf("--%s=%q gave %+v", flag, value, s)
		}
		for _, p := range append(s.Sockets, s.StateDir, s.SysctlDir) {
			if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) {
				t.Errorf("--%s=%q gave path %q", flag, value, p)
			}
		}
	})
}
