package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// A Result is what becomes of the packet at one step.
type Result string

// The results. Unseen steps could not be looked at.
const (
	Pass   Result = "pass"
	Stop   Result = "stop"
	Unseen Result = "unseen"
)

// A Step is one place on a packet's way.
type Step struct {
	At     string `json:"at"`
	Result Result `json:"result"`
	Detail string `json:"detail"`
	// Packets is what the rule that decided has counted, where it counts.
	Packets *uint64 `json:"packets,omitempty"`
}

// A Trace is the way of a packet from the uplink to a container.
type Trace struct {
	Schema   int    `json:"schema"`
	Target   string `json:"target"`
	Network  string `json:"network"`
	Endpoint string `json:"endpoint"` // empty where no ndp6 answers
	Steps    []Step `json:"steps"`
}

// Arrives reports whether no step stops the packet.
func (t Trace) Arrives() bool {
	for _, s := range t.Steps {
		if s.Result == Stop {
			return false
		}
	}
	return true
}

// Follow traces a packet to a container, in the network namespace of the
// calling thread. The error wraps ErrUnknown where no container has the address.
func Follow(ctx context.Context, c Config, t Target) (Trace, error) {
	f := Facts{Settings: c.Settings, Sysctls: make(map[string]string)}
	f.lookAtDaemon(ctx)
	if err := f.lookAtHost(); err != nil {
		return Trace{}, err
	}
	n, a, ok := f.find(t.Addr)
	if !ok {
		return Trace{}, fmt.Errorf("trace %s: %w: %s", t, ErrUnknown, f.haveInstead())
	}
	tr := tracer{facts: &f, target: t, network: n, addr: a, silent: c.Silent}
	tr.Trace = Trace{Schema: Schema, Target: t.String(), Network: n.ID, Endpoint: a.Endpoint, Steps: []Step{}}
	for _, step := range []func(context.Context){
		tr.uplinkStep, tr.routerStep, tr.proxyStep, tr.forwardingStep, tr.routeStep, tr.fastPathStep, tr.chainSteps,
		tr.neighborStep, tr.portStep, tr.containerStep, tr.listenStep,
	} {
		step(ctx)
	}
	return tr.Trace, nil
}

// find returns the network and the container of an address, inside or outside.
func (f *Facts) find(addr netip.Addr) (Network, Addr, bool) {
	for _, n := range f.Networks {
		for _, a := range n.Addrs {
			if a.Addr == addr {
				return n, a, true
			}
		}
	}
	return Network{}, Addr{}, false
}

// haveInstead says which addresses there are.
func (f *Facts) haveInstead() string {
	const most = 3
	var have []string
	n := 0
	for _, network := range f.Networks {
		for _, a := range network.Addrs {
			if n++; n <= most {
				have = append(have, a.Addr.String())
			}
		}
	}
	switch {
	case n == 0:
		return "there is none with an address"
	case n > most:
		return fmt.Sprintf("there are %s and %d more, see ndp6 status", strings.Join(have, ", "), n-most)
	}
	return "there is " + strings.Join(have, ", ")
}

// A tracer adds steps to a trace.
type tracer struct {
	Trace

	facts   *Facts
	target  Target
	network Network
	addr    Addr
	uplink  Uplink
	silent  bool
}

func (t *tracer) add(at string, ok bool, format string, args ...any) {
	result := Stop
	if ok {
		result = Pass
	}
	t.Steps = append(t.Steps, Step{At: at, Result: result, Detail: fmt.Sprintf(format, args...)})
}

func (t *tracer) unseen(at, why string) {
	t.Steps = append(t.Steps, Step{At: at, Result: Unseen, Detail: why})
}
