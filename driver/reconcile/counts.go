package reconcile

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/responder"
)

// Counts are what a Loop did so far, and what is left to do.
type Counts struct {
	// Passes are those over the whole host, and PassTime how long they took.
	Passes   uint64
	PassTime time.Duration
	// LastPass is when the last one that saw the host ended, zero if none did.
	LastPass time.Time
	// Drift is how many operations that one could not carry out.
	Drift int
	// Repairs are the operations that Run carried out, with nobody waiting for
	// them, by the kind of object.
	Repairs map[plan.Kind]uint64
	// Rulesets is how often Run changed rules of the whole host.
	Rulesets uint64
}

// Counts returns what was done so far. It waits for nothing.
func (l *Loop) Counts() Counts {
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	c := l.tally.counts
	c.Repairs = maps.Clone(c.Repairs)
	return c
}

// A tally collects Counts.
type tally struct {
	mu     sync.Mutex
	counts Counts
}

// A passage is what a pass did and could not do.
type passage struct {
	rules bool
	done  []plan.Op
	left  int
}

// passed notes a pass; blind is why it did not see the host.
func (t *tally) passed(begin time.Time, p passage, blind error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Passes++
	t.counts.PassTime += time.Since(begin)
	if blind == nil {
		t.counts.LastPass, t.counts.Drift = time.Now(), p.left
	}
}

// repaired notes what nobody waited for.
func (t *tally) repaired(p passage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.rules {
		t.counts.Rulesets++
	}
	for _, op := range p.done {
		t.counts.Repairs[op.Key().Kind]++
	}
}

// HostCounts are what a Host did so far, and what it has.
type HostCounts struct {
	// RuleRepairs is how often rules were repaired at once when others changed them.
	RuleRepairs uint64
	// PrefixChanges is how often an uplink that was known had other on-link prefixes.
	PrefixChanges uint64
	// Forwarded are the packets that the fast path forwarded.
	Forwarded fastpath.Counts
	// Uplinks are those of networks, in the order of their names.
	Uplinks []UplinkCounts
}

// UplinkCounts are those of one uplink.
type UplinkCounts struct {
	Name string
	// Ready is set where it can send.
	Ready bool
	// Proxies are the entries that the kernel answers for.
	Proxies int
	kernel.Discovery
	// Responder is what answers in front of the kernel, nil where nothing does.
	Responder *responder.Counts
}

// Counts returns what was done so far and what there is. Call it in the host's
// namespace. The error says what of Discovery could not be read.
func (h *Host) Counts() (HostCounts, error) {
	c := HostCounts{RuleRepairs: h.ruleRepairs.Load(), PrefixChanges: h.prefixChanges.Load()}
	uplinks := make(map[string]*UplinkCounts)
	at := func(name string) *UplinkCounts {
		if uplinks[name] == nil {
			uplinks[name] = &UplinkCounts{Name: name}
		}
		return uplinks[name]
	}
	h.mu.Lock()
	for _, u := range h.last {
		at(u.Name).Ready = u.Ready()
	}
	h.mu.Unlock()
	for link, n := range h.expected.proxiesByLink() {
		at(link).Proxies = n
	}
	var errs []error
	forwarded, err := h.fastPaths.counts()
	c.Forwarded, errs = forwarded, append(errs, err)
	for _, name := range slices.Sorted(maps.Keys(uplinks)) {
		u := uplinks[name]
		var err error
		if u.Discovery, err = h.conn.Discovery(name); err != nil && !errors.Is(err, kernel.ErrNotFound) {
			errs = append(errs, err)
		}
		if one, ok := h.responders.of(name); ok {
			did, err := one.Counts()
			u.Responder, errs = &did, append(errs, err)
		}
		c.Uplinks = append(c.Uplinks, *u)
	}
	return c, errors.Join(errs...)
}

// Drops returns what the firewall dropped, by the name of the counter: all
// that there are, those of rules that are not needed now as well.
func (h *Host) Drops() (map[string]nft.Counter, error) {
	counted, err := h.rules.Counters()
	if err != nil {
		return nil, err
	}
	drops := make(map[string]nft.Counter)
	for _, name := range firewall.Counters() {
		drops[name] = counted[name]
	}
	return drops, nil
}

// renumbered reports whether an uplink that was known has other prefixes.
func renumbered(last, now uplink.Uplink) bool {
	sorted := func(ps []netip.Prefix) []netip.Prefix {
		return slices.SortedFunc(slices.Values(ps), netip.Prefix.Compare)
	}
	return last.Name != "" && !slices.Equal(sorted(last.OnLink), sorted(now.OnLink))
}
