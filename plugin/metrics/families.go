package metrics

import (
	"maps"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/plugin/exposition"
	"github.com/ndp6/ndp6/plugin/store"
)

func counter(name, help string, labels ...string) exposition.Family {
	return exposition.Family{Name: name, Type: exposition.Counter, Help: help, Labels: labels}
}

func gauge(name, help string, labels ...string) exposition.Family {
	return exposition.Family{Name: name, Type: exposition.Gauge, Help: help, Labels: labels}
}

func timer(name, help string, labels ...string) exposition.Family {
	return exposition.Family{Name: name, Type: exposition.Histogram, Help: help, Labels: labels}
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// only returns f with one series that has no labels.
func only[N number](f exposition.Family, value N) exposition.Family {
	f.Series = []exposition.Series{{Value: float64(value)}}
	return f
}

// by returns f with a series for each key, in their order.
func by[N number](f exposition.Family, values map[string]N) exposition.Family {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f.Series = append(f.Series, exposition.Series{Values: []string{key}, Value: float64(values[key])})
	}
	return f
}

func ofCalls(s Snapshot) []exposition.Family {
	calls := counter("ndp6_docker_calls_total", "Docker's calls, by method and by what became of them.", "method", "result")
	took := timer("ndp6_docker_call_duration_seconds", "How long Docker's calls took.", "method")
	for _, m := range s.Calls.Methods {
		calls.Series = append(calls.Series,
			exposition.Series{Values: []string{m.Method, "ok"}, Value: float64(m.OK)},
			exposition.Series{Values: []string{m.Method, "error"}, Value: float64(m.Error)},
		)
		if m.Took.Count() > 0 { // 17 lines for each
			took.Series = append(took.Series, exposition.Series{Values: []string{m.Method}, Spread: m.Took})
		}
	}
	return []exposition.Family{
		calls, took,
		only(gauge("ndp6_docker_calls_in_flight", "Docker's calls that have no answer yet."), s.Calls.InFlight),
		only(counter("ndp6_docker_call_panics_total", "Docker's calls that ran into a defect of ndp6."), s.Calls.Panics),
	}
}

func ofRecords(s Snapshot) []exposition.Family {
	networks := make(map[string]int)
	for _, mode := range []plan.Mode{plan.Routed, plan.NAT, plan.NPTv6, plan.Isolated} {
		networks[string(mode)] = s.Driver.Networks[mode]
	}
	pools, leases, fullest := make(map[string]int), make(map[string]int), 0.0
	for _, p := range s.Pools {
		pools[p.Source]++
		leases[p.Source] += p.Leases
		if p.Capacity > 0 {
			fullest = max(fullest, float64(p.Leases)/float64(p.Capacity))
		}
	}
	return []exposition.Family{
		by(gauge("ndp6_networks", "Networks by mode.", "mode"), networks),
		by(gauge("ndp6_endpoints", "Endpoints of containers that run (joined), and others (idle).", "state"),
			map[string]int{"joined": s.Driver.Joined, "idle": s.Driver.Idle}),
		by(gauge("ndp6_pools", "Pools that are lent, by where they came from.", "source"), pools),
		by(gauge("ndp6_leases", "Addresses that are leased, by where their pool came from.", "source"), leases),
		only(gauge("ndp6_pool_fullest_ratio", "Leased part of the fullest pool that can run out, 1 when it has."), fullest),
		only(gauge("ndp6_problems", "What could not be done and is tried again."), s.Driver.Problems),
		only(gauge("ndp6_warnings", "What does not go away by itself: ndp6 status has the remedy."), s.Driver.Warnings),
		only(gauge("ndp6_withdrawn_addresses", "Addresses of containers that another host on the uplink holds."), s.Driver.Withdrawn),
	}
}

func ofUplinks(s Snapshot) []exposition.Family {
	ready, proxies := make(map[string]int), make(map[string]int)
	asked, answered := make(map[string]uint64), make(map[string]uint64)
	for _, u := range s.Host.Uplinks {
		if ready[u.Name] = 0; u.Ready {
			ready[u.Name] = 1
		}
		proxies[u.Name], asked[u.Name], answered[u.Name] = u.Proxies, u.Solicitations, u.Advertisements
	}
	return []exposition.Family{
		by(gauge("ndp6_uplink_ready", "1 where the uplink is up and has an address to speak from.", "uplink"), ready),
		by(gauge("ndp6_proxy_entries", "Addresses that the kernel answers for on the uplink.", "uplink"), proxies),
		by(counter("ndp6_uplink_solicitations_received_total", "Neighbor solicitations that the kernel received on the uplink.", "uplink"), asked),
		by(counter("ndp6_uplink_advertisements_sent_total", "Neighbor advertisements that the kernel answered with on the uplink, for containers and the host.", "uplink"), answered),
		responders(s), answers(s), drops(s),
		by(counter("ndp6_fastpath_packets_total", "Packets that the programs of ndp6.datapath=bpf forwarded, those that entered containers and those that left them.", "direction"),
			map[string]uint64{"entered": s.Host.Forwarded.Entered, "left": s.Host.Forwarded.Left}),
		only(counter("ndp6_uplink_prefix_changes_total", "How often an uplink's on-link prefixes changed."), s.Host.PrefixChanges),
		by(counter("ndp6_announcements_total", "Unsolicited advertisements, three for an address that comes to the uplink.", "result"),
			map[string]uint64{"sent": s.Speaker.Announced, "error": s.Speaker.AnnounceErrors}),
		by(counter("ndp6_address_probes_total", "Probes for another owner of an address; taken is a conflict.", "result"),
			map[string]uint64{"free": s.Speaker.Free, "taken": s.Speaker.Taken, "error": s.Speaker.ProbeErrors}),
	}
}

// responders says on which uplinks a program answers.
func responders(s Snapshot) exposition.Family {
	there := make(map[string]int)
	for _, u := range s.Host.Uplinks {
		if there[u.Name] = 0; u.Responder != nil {
			there[u.Name] = 1
		}
	}
	return by(gauge("ndp6_responder", "1 where the program of --responder bpf answers on the uplink, 0 where the kernel does by itself.", "uplink"), there)
}

func answers(s Snapshot) exposition.Family {
	f := counter("ndp6_responder_answers_total", "Solicitations for containers that the program answered, by their kind.", "uplink", "kind")
	for _, u := range s.Host.Uplinks {
		if u.Responder != nil {
			f.Series = append(f.Series, each(u.Name, u.Responder.Answers)...)
		}
	}
	return f
}

func drops(s Snapshot) exposition.Family {
	f := counter("ndp6_responder_drops_total", "Solicitations that the program dropped, by the reason.", "uplink", "reason")
	for _, u := range s.Host.Uplinks {
		if u.Responder != nil {
			f.Series = append(f.Series, each(u.Name, u.Responder.Drops)...)
		}
	}
	return f
}

// each returns a series of a link for each key, in their order.
func each(link string, values map[string]uint64) []exposition.Series {
	var all []exposition.Series
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, exposition.Series{Values: []string{link, key}, Value: float64(values[key])})
	}
	return all
}

func ofHost(s Snapshot) []exposition.Family {
	loop := s.Driver.Loop
	repairs := map[string]uint64{"ruleset": loop.Rulesets + s.Host.RuleRepairs}
	for _, k := range plan.Kinds() {
		repairs[k.String()] = loop.Repairs[k]
	}
	return []exposition.Family{
		by(counter("ndp6_repairs_total", "Operations that were carried out outside of Docker's calls, by kind of object.", "object"), repairs),
		only(gauge("ndp6_drift_operations", "Operations that the last pass over the host could not carry out."), loop.Drift),
		only(counter("ndp6_passes_total", "Passes over the whole host."), loop.Passes),
		only(counter("ndp6_pass_seconds_total", "Time that passes took."), loop.PassTime.Seconds()),
		only(gauge("ndp6_last_pass_timestamp_seconds", "When the last pass that saw the host ended, 0 if none did."), lastPass(loop)),
	}
}

func lastPass(c reconcile.Counts) float64 {
	if c.LastPass.IsZero() {
		return 0
	}
	return seconds(c.LastPass)
}

func ofFirewall(s Snapshot) []exposition.Family {
	packets, octets := make(map[string]uint64), make(map[string]uint64)
	for reason, c := range s.Drops {
		packets[reason], octets[reason] = c.Packets, c.Bytes
	}
	return []exposition.Family{
		by(counter("ndp6_firewall_dropped_packets_total", "Packets that the firewall dropped, by the name of its counter.", "reason"), packets),
		by(counter("ndp6_firewall_dropped_bytes_total", "Bytes of the packets that the firewall dropped.", "reason"), octets),
	}
}

func ofStore(s Snapshot) []exposition.Family {
	took := timer("ndp6_store_write_duration_seconds", "How long writes to the store took; those of boot do not wait for the disk.", "store")
	failed := make(map[string]uint64)
	for _, f := range []struct {
		name string
		store.Writes
	}{{"boot", s.Boot}, {"lasting", s.Lasting}} {
		took.Series = append(took.Series, exposition.Series{Values: []string{f.name}, Spread: f.Took})
		failed[f.name] = f.Failed
	}
	return []exposition.Family{took, by(counter("ndp6_store_write_errors_total", "Writes to the store that did not succeed.", "store"), failed)}
}

// ofCluster returns nothing for a host on its own.
func ofCluster(s Snapshot) []exposition.Family {
	c := s.Cluster
	if c == nil {
		return nil
	}
	up := 0
	if c.Connected {
		up = 1
	}
	return []exposition.Family{
		only(gauge("ndp6_etcd_up", "1 while etcd answers."), up),
		only(counter("ndp6_etcd_request_errors_total", "Requests that no member of etcd answered, or that etcd refused."), c.FailedRequests),
		only(gauge("ndp6_cluster_blocks", "Blocks of shared bases that this host's networks have."), c.Blocks),
		by(gauge("ndp6_peers", "Other hosts: with a lease (alive), without (silent), and those that answered on the link then (answering).", "state"), c.Peers),
		only(gauge("ndp6_peer_blocks_refused", "Blocks of other hosts that no route leads to, as they overlap others."), c.Refused),
	}
}
