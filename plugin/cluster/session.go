package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// session is what outlives a connection to etcd.
type session struct {
	lease int64
	// said is the Hello that was written last.
	said []byte
}

// run is a member as long as etcd answers, and returns why it does not.
func (m *Member) run(ctx context.Context, s *session) error {
	ctx, cancel := context.WithCancel(ctx)
	if err := m.begin(ctx, s); err != nil {
		cancel()
		return err
	}
	revision, err := m.meet(ctx)
	if err != nil {
		cancel()
		return err
	}
	events, ended := make(chan []etcd.Event), make(chan error, 1)
	go func() {
		ended <- m.config.Etcd.Watch(ctx, claim.Hellos, etcd.After(claim.Hellos), revision+1, func(e []etcd.Event) {
			select {
			case events <- e:
			case <-ctx.Done():
			}
		})
	}()
	watching := true
	defer func() {
		cancel()
		if watching {
			m.log.Debug("watch of hosts ended", "err", <-ended)
		}
	}()
	m.connected()
	keep := time.NewTicker(m.config.Lease / 3)
	defer keep.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			watching = false
			return err
		case e := <-events:
			m.heard(ctx, e)
		case <-keep.C:
			if err := m.hello(ctx, s); err != nil {
				return err
			}
		case <-m.kick:
			if err := m.hello(ctx, s); err != nil {
				return err
			}
		case <-m.due():
			m.ask(ctx)
		}
	}
}

// begin says who we are, whatever became of what was said before.
func (m *Member) begin(ctx context.Context, s *session) error {
	if err := m.verify(ctx); err != nil {
		return err
	}
	return m.hello(ctx, s)
}

// hello keeps the lease, says what is to be said of this host, and gives back
// what was released.
func (m *Member) hello(ctx context.Context, s *session) error {
	if err := m.keep(ctx, s); err != nil {
		return err
	}
	if err := m.say(ctx, s); err != nil {
		return err
	}
	return m.giveBack(ctx)
}

// verify notes whether our record is as it was left: etcd may have been set back
// while it was away.
func (m *Member) verify(ctx context.Context) error {
	m.mu.Lock()
	revision := m.revision
	m.mu.Unlock()
	if revision == 0 {
		return nil
	}
	r, err := m.config.Etcd.Do(ctx, etcd.Txn{If: []etcd.Compare{etcd.Unchanged(claim.HelloKey(m.config.Host), revision)}})
	if err == nil && !r.OK {
		m.lapsed(revision)
	}
	return err
}

func (m *Member) keep(ctx context.Context, s *session) error {
	if s.lease != 0 {
		err := m.config.Etcd.Keep(ctx, s.lease)
		if !errors.Is(err, etcd.ErrLease) {
			return err
		}
	}
	lease, err := m.config.Etcd.Grant(ctx, m.config.Lease)
	if err != nil {
		return err
	}
	s.lease, s.said = lease, nil
	return nil
}

// say writes our Hello where it is not what was said last. Another host with our
// id keeps its own.
func (m *Member) say(ctx context.Context, s *session) error {
	nextHop, err := m.config.NextHop()
	if err != nil {
		// Nobody is led here, and what leads to the others is not touched.
		m.notMember(fmt.Errorf("the host has no address for its peers: %w", err))
		return nil
	}
	h := claim.Hello{Host: m.config.Host, Name: m.config.Name, BootID: m.config.BootID, NextHop: nextHop, Prefixes: m.blocks()}
	said, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if m.member() && string(said) == string(s.said) {
		return nil
	}
	key := claim.HelloKey(h.Host)
	condition := etcd.Absent(key, "")
	for range 8 {
		r, err := m.config.Etcd.Do(ctx, etcd.Txn{
			If:   []etcd.Compare{condition},
			Then: []etcd.Op{etcd.Put(key, said, s.lease), etcd.Get(key, "")},
			Else: []etcd.Op{etcd.Get(key, "")},
		})
		if err != nil {
			s.said = nil // It may have been written all the same.
			return err
		}
		found := r.Found[0]
		switch {
		case r.OK:
			s.said = said
			m.isMember(found[0].ModRevision, nextHop)
			return nil
		case len(found) == 0:
			condition = etcd.Absent(key, "")
		case m.foreign(found[0], nextHop):
			return nil
		default:
			condition = etcd.Unchanged(key, found[0].ModRevision)
		}
	}
	return fmt.Errorf("the record of host %q changes all the time", h.Host)
}

// foreign reports whether a Hello under our id is another host's: one that runs
// since another boot. With our own address it is our own, of before.
func (m *Member) foreign(kv etcd.KV, nextHop netip.Addr) bool {
	h, err := claim.ParseHello(string(kv.Key), kv.Value)
	if err != nil || h.Leaving || h.BootID == m.config.BootID || h.NextHop == nextHop {
		return false
	}
	m.notMember(fmt.Errorf("another host at %s (%s) has the id %q: if this host was started anew just now, it goes on within %s; "+
		"if it is a copy, give it an id of its own with systemd-machine-id-setup or --host-id (NDP6_HOST_ID)",
		h.NextHop, h.Name, h.Host, m.config.Lease))
	return true
}

func (m *Member) notMember(err error) {
	news := false
	m.setState(func(s *state) {
		news = s.clone == nil || s.clone.Error() != err.Error()
		s.clone = err
		m.revision = 0
	})
	if news {
		m.log.Warn("host is no member of its cluster", "err", err)
	}
}

func (m *Member) isMember(revision int64, nextHop netip.Addr) {
	m.setState(func(s *state) {
		s.clone, s.nextHop = nil, nextHop
		m.revision = revision
	})
}

// member reports whether our Hello is in etcd.
func (m *Member) member() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision != 0
}

// blocks returns what the host's networks have, in order.
func (m *Member) blocks() []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Keys(m.held), netip.Prefix.Compare)
}

// leave has nothing lead to this host any more, unless containers need it: the
// process that stops may be started again at once.
func (m *Member) leave(ctx context.Context, s *session) {
	if !m.member() || m.config.Busy() {
		return
	}
	said, err := json.Marshal(claim.Hello{Host: m.config.Host, Name: m.config.Name, BootID: m.config.BootID, Leaving: true})
	if err == nil {
		m.mu.Lock()
		ours := etcd.Unchanged(claim.HelloKey(m.config.Host), m.revision)
		m.mu.Unlock()
		_, err = m.config.Etcd.Do(ctx, etcd.Txn{
			If: []etcd.Compare{ours}, Then: []etcd.Op{etcd.Put(claim.HelloKey(m.config.Host), said, s.lease)},
		})
	}
	if err == nil {
		err = m.config.Etcd.Revoke(ctx, s.lease)
	}
	if err != nil {
		m.log.Warn("cluster not left: peers notice when the lease ends", "lease", m.config.Lease, "err", err)
		return
	}
	m.log.Info("cluster left")
}
