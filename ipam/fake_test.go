package ipam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	api "github.com/docker/go-plugins-helpers/ipam"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
)

// memory keeps records as the store does: as JSON, in transactions that may fail.
type memory[T any] struct {
	mu      sync.Mutex
	records map[string]string
	writes  int
	broken  bool
}

var errBroken = errors.New("no space left on device")

func (m *memory[T]) All() (map[string]T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]T{}
	for id, text := range m.records {
		var v T
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, err
		}
		all[id] = v
	}
	return all, nil
}

func (m *memory[T]) Put(id string, v T) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.write(func() { m.records[id] = string(text) })
}

func (m *memory[T]) Delete(id string) error {
	return m.write(func() { delete(m.records, id) })
}

func (m *memory[T]) write(change func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	if m.records == nil {
		m.records = map[string]string{}
	}
	change()
	m.writes++
	return nil
}

func (m *memory[T]) snapshot() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.records)
}

type host struct {
	facts source.Facts
	err   error
	asked atomic.Int64
}

func (h *host) Facts(context.Context) (source.Facts, error) {
	h.asked.Add(1)
	return h.facts, h.err
}

// lab is an IPAM with its surroundings, driven by lines of text; see call.
type lab struct {
	*ipam.IPAM
	config  ipam.Config
	host    *host
	pools   memory[ipam.Pool]
	leases  memory[ipam.Lease]
	secrets memory[ipam.Secret]
	ids     map[string]string // prefix to the id of the pool that was answered last
}

func newLab(tb testing.TB, edit func(*ipam.Config, *source.Facts)) *lab {
	tb.Helper()
	l := &lab{host: &host{}, ids: map[string]string{}}
	// A known ULA, as a host has it that ran before.
	if err := l.secrets.Put("ula", ipam.Secret{Value: []byte("fd00:1:2::/48")}); err != nil {
		tb.Fatal(err)
	}
	l.config = ipam.Config{
		Log: slog.New(slog.DiscardHandler), Host: l.host,
		Pools: &l.pools, Leases: &l.leases, Secrets: &l.secrets,
	}
	if edit != nil {
		edit(&l.config, &l.host.facts)
	}
	if err := l.restart(); err != nil {
		tb.Fatal(err)
	}
	return l
}

func (l *lab) restart() error {
	m, err := ipam.New(l.config)
	l.IPAM = m
	return err
}

// call runs one line and returns the answer in a line. The words are:
//
//	pool6|pool4 [PREFIX] [range=P] [KEY=VALUE as --ipam-opt]
//	gateway|aux POOL [ADDR]
//	endpoint POOL [mac=LAST OCTET|MAC] [name=N] [ADDR]
//	swarm [PREFIX] [range=P] [KEY=VALUE as --ipam-opt]  (a manager's RequestPool)
//	release POOL ADDR
//	free POOL                       (ReleasePool)
//	dockerd, plugin, host           (what restarts)
//
// POOL is the prefix of a pool or an id, or of a swarm's "swarm:" and the prefix.
func (l *lab) call(line string) string {
	ctx := context.Background()
	words := strings.Fields(line)
	verb, words := words[0], words[1:]
	options := map[string]string{}
	var plain []string
	for _, w := range words {
		k, v, isOption := strings.Cut(w, "=")
		if !isOption || strings.HasPrefix(w, "ndp6,") || strings.HasPrefix(w, "ndp6-swarm,") {
			plain = append(plain, w)
			continue
		}
		options[k] = v
	}
	arg := func(i int) string {
		if i < len(plain) {
			return plain[i]
		}
		return ""
	}
	id := arg(0)
	if known, ok := l.ids[id]; ok {
		id = known
	}
	switch verb {
	case "pool6", "pool4", "swarm":
		span, space, prefix := options["range"], "ndp6", ""
		if verb == "swarm" {
			space, prefix = "ndp6-global", "swarm:"
		}
		delete(options, "range")
		r, err := l.RequestPool(ctx, &api.RequestPoolRequest{AddressSpace: space, Pool: arg(0), SubPool: span, Options: options, V6: verb == "pool6"})
		if err != nil {
			return "error: " + err.Error()
		}
		l.ids[prefix+r.Pool] = r.PoolID
		return strings.TrimSpace(r.PoolID + " " + r.Data["com.docker.network.gateway"])
	case "gateway":
		return l.address(id, arg(1), map[string]string{"RequestAddressType": "com.docker.network.gateway"})
	case "aux":
		return l.address(id, arg(1), nil)
	case "endpoint":
		wire := map[string]string{}
		if mac, ok := options["mac"]; ok {
			if len(mac) == 2 {
				mac = "02:42:ac:11:00:" + mac
			}
			wire["com.docker.network.endpoint.macaddress"] = mac
		}
		if name, ok := options["name"]; ok {
			wire["com.docker.network.endpoint.name"] = name
		}
		return l.address(id, arg(1), wire)
	case "release":
		return result(l.ReleaseAddress(ctx, &api.ReleaseAddressRequest{PoolID: id, Address: arg(1)}))
	case "free":
		return result(l.ReleasePool(ctx, &api.ReleasePoolRequest{PoolID: id}))
	case "dockerd":
		_, err := l.GetCapabilities(ctx)
		return result(err)
	case "plugin":
		return result(l.restart())
	case "host":
		l.leases.records = nil
		return result(l.restart())
	}
	return "unknown verb " + verb
}

func (l *lab) address(id, addr string, options map[string]string) string {
	r, err := l.RequestAddress(context.Background(), &api.RequestAddressRequest{PoolID: id, Address: addr, Options: options})
	if err != nil {
		return "error: " + err.Error()
	}
	return r.Address
}

func result(err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

// play runs the calls of script, the lines that start with "> ", and returns the
// script with the answers as they are.
func (l *lab) play(script string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		if call, ok := strings.CutPrefix(strings.TrimSpace(line), "> "); ok {
			fmt.Fprintf(&out, "> %s\n%s\n", call, l.call(call))
		}
	}
	return out.String()
}

// scripted is a case of playAll. A line that starts with "> " is a call, the next
// one what it is to answer.
type scripted struct {
	name   string
	edit   func(*ipam.Config, *source.Facts)
	script string
}

// playAll plays each script in a lab of its own, and compares the answers.
func playAll(t *testing.T, tests []scripted) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.edit)
			if diff := cmp.Diff(strings.TrimPrefix(tt.script, "\n"), l.play(tt.script)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
