// Package settings turns flags and the environment into checked settings.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
)

// Settings is how an operator wants the process to run. It is made by [Read].
type Settings struct {
	// Sockets are the paths to answer Docker on, at least one.
	Sockets []string
	// StateDir is the directory of the store.
	StateDir string
	// Uplink is the name of a link, or Auto.
	Uplink string
	// Pools are IPv6 blocks to take pools from, none by default.
	Pools []netip.Prefix
	// PoolSource and PrefixLen are where IPv6 pools that are not given come from,
	// and how long they are.
	PoolSource source.From
	PrefixLen  int
	// IPv4Pools are the blocks to take IPv4 pools from, none when NoIPv4 is set.
	IPv4Pools []netip.Prefix
	// NoIPv4 gives networks that name no IPv4 pool none at all.
	NoIPv4 bool
	// Announce is what of a network that does not say it is announced: one of
	// plan's words.
	Announce string
	// RouteProtocol is that of announced routes.
	RouteProtocol int
	// Scope says whose networks are.
	Scope Scope
	// Sysctls says who sets the host's sysctls.
	Sysctls Who
	// SysctlDir is where the sysctls under net are files that can be written.
	SysctlDir string
	// SysctlDropin is the sysctl.d file to keep, empty for none.
	SysctlDropin string
	// Responder is what answers neighbor solicitations on uplinks, and NASource
	// what address its answers come from.
	Responder plan.Answering
	NASource  plan.NASource
	// Firewalld has ndp6 put its bridges into a zone of firewalld.
	Firewalld bool
	// DockerSocket is where Docker's API is, empty to never ask it.
	DockerSocket string
	// ResyncPeriod is how often the whole host is looked at when nothing happens.
	ResyncPeriod time.Duration
	// IID is what an automatic address is made from.
	IID alloc.Mode
	// MetricsAddr is the TCP address and port that metrics are served on besides
	// the local socket, as net.Listen takes it; empty for none.
	MetricsAddr string
	// Etcd makes the host a member of a cluster, where it has endpoints.
	Etcd Etcd

	LogLevel  slog.Level
	LogFormat LogFormat
}

// Auto is the uplink that is the link of the default route.
const Auto = "auto"

// Who does what an operator may want to do.
type Who string

const (
	// Manage lets ndp6 do it, and undo it.
	Manage Who = "manage"
	// Check has ndp6 refuse networks until the operator has done it.
	Check Who = "check"
	// Ignore leaves it to the operator.
	Ignore Who = "ignore"
)

// A Scope says whose networks are.
type Scope string

const (
	// Local networks are each host's own.
	Local Scope = "local"
	// Global networks are those of a swarm.
	Global Scope = "global"
)

// A LogFormat is how log lines are written.
type LogFormat string

// The formats of log/slog's handlers.
const (
	Text LogFormat = "text"
	JSON LogFormat = "json"
)

// Define adds a flag for each setting to fs, or for those that are named.
func Define(fs *pflag.FlagSet, names ...string) {
	for _, s := range table() {
		if len(names) > 0 && !slices.Contains(names, s.flag) {
			continue
		}
		fs.Var(&given{list: s.list, words: []string{s.value}, placeholder: s.placeholder}, s.flag, s.title+" ("+s.env+")")
	}
}

// Read returns the settings of fs, which must have flags of [Define] and be
// parsed; those without a flag are left out. A flag that was given wins over its
// environment variable, and that over the default; an empty variable is as good
// as none. Every bad value is named in the error.
func Read(fs *pflag.FlagSet, getenv func(string) string) (Settings, error) {
	var s Settings
	var errs []error
	for _, t := range table() {
		f := fs.Lookup(t.flag)
		if f == nil {
			continue
		}
		value := t.value
		if f.Changed {
			value = f.Value.String()
		} else if v := getenv(t.env); v != "" {
			value = v
		}
		if err := t.set(&s, value); err != nil {
			shown := fmt.Sprintf(" %q", value)
			if t.hidden {
				shown = ""
			}
			errs = append(errs, fmt.Errorf("--%s (%s)%s: %w", t.flag, t.env, shown, err))
		}
	}
	if s.Responder == plan.AnswerKernel && s.NASource != plan.SourceAuto {
		errs = append(errs, fmt.Errorf("--na-source (NDP6_NA_SOURCE) %q: not with --responder %s, which chooses by itself: leave it at %s, or choose --responder %s",
			s.NASource, s.Responder, plan.SourceAuto, plan.AnswerBPF))
	}
	if len(errs) == 0 {
		errs = append(errs, s.Etcd.check())
	}
	if err := errors.Join(errs...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// given is the value of a flag as it was written; Read looks at it later, the
// same way as at an environment variable.
type given struct {
	placeholder string
	list        bool
	set         bool
	words       []string
}

func (g *given) Set(s string) error {
	if !g.list || !g.set {
		g.words = nil
	}
	g.words, g.set = append(g.words, s), true
	return nil
}

func (g *given) String() string { return strings.Join(g.words, ",") }
func (g *given) Type() string   { return g.placeholder }
