package main

import (
	"context"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
)

// part is one question. Measure returns the answer without what all have.
type part struct {
	name, title string
	text        []string // paragraphs
	measure     func(context.Context, options) (page.Part, error)
}

// parts are all there are, in the order of the page.
func parts() []part {
	return []part{
		{
			"ping", "The first ping to a new container",
			[]string{"A router on the link sends one echo request as soon as `docker run` has returned, and with it whatever else the way to " +
				"answer asks of the user: for the documentation's recipe `ip -6 neigh add proxy`. The plain host has the new address itself."},
			measurePings,
		},
		{
			"nud", "The router's entries for busy containers",
			[]string{"A router sends 20 packets a second to a container of each for a minute, and checks its neighbors every few seconds " +
				"(`base_reachable_time_ms=3000`, `delay_first_probe_time=1`): it asks the host alone, and forgets who does not answer."},
			measureFailures,
		},
		{
			"move", "A container moves to another host",
			[]string{"A container that a router talks to every 10 ms is removed from one host and started on another with the same address. The time " +
				"is from the moment that `docker run` has returned there, and for the documentation's recipe the proxy entries were moved by " +
				"hand, until the first answer, at most a minute. ndp6 announces the address."},
			measureMoves,
		},
		{
			"solicit", "Neighbor solicitations",
			[]string{"A router asks a host for addresses, each host on a link of its own: 20 one by one, to their groups and then to the host alone as " +
				"routers do to check an entry, then 50,000 a second for two seconds, then as many as it can. CPU is what an answer takes beside " +
				"what asking takes, which the first row has. `packed` are addresses by `--iid packed`; all others are made from random MACs."},
			measureSolicitations,
		},
		{
			"forward", "Forwarding by a host that answers for many addresses",
			[]string{"The same way to a container through hosts without rules: one that answers for nothing but itself, and others that answer for 0 to " +
				"30,000 addresses on their uplink. With `all.proxy_ndp=1`, which the kernel's proxy takes to answer unicast probes, every " +
				"forwarded packet walks the table of its entries. Rates are by CPU time."},
			measureForwarding,
		},
		{
			"start", "What a network adds to the start of a container",
			[]string{"`docker run --rm` of a program that ends at once, on each network in turn. The share of a network is what it takes " +
				"longer than `--network none` does, in the same round."},
			measureStarts,
		},
		{
			"calls", "The plugin's part of a start",
			[]string{"What dockerd waits for, without dockerd: 8 clients at once make its calls to the plugin for containers of a dual-stack " +
				"network, beside endpoints that are there. All start containers, then all stop them, and then each starts one and " +
				"stops it, again and again: there the kernel removes links while others start. Memory is that of the plugin's process."},
			measureCalls,
		},
		{
			"path", "From the router to a container",
			[]string{
				"A router, a host and a container in namespaces of their own, with veth links between them; senders and receivers have " +
					"the CPUs for themselves. Each row is a host of its own but for those that name ndp6 beside another.",
				"`tcp` is a stream as this machine sends it, by the clock. All other rates are by CPU time. `cubic` is a stream whose sender never waits. " +
					"`one rule` lets established flows pass and has no other: the least that rules about connections cost.",
				"`ndp6 fast path` is a network with `-o ndp6.datapath=bpf` ([datapath.md](../datapath.md)) on the host of `ndp6`, beside a Docker.",
			},
			measurePaths,
		},
		{
			"update", "The firewall lets a container in",
			[]string{"How long it takes until the rules let packets through to a container that publishes one port, and to forget it, " +
				"beside others: ndp6's sets, and the ip6tables commands that Docker's bridge runs for the same."},
			measureUpdates,
		},
	}
}

// names are the parts' names.
func names() []string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return all
}

// measured is the whole answer.
func (p part) measured(ctx context.Context, o options) (page.Part, error) {
	answer, err := p.measure(ctx, o)
	if err != nil {
		return answer, err
	}
	answer.Name, answer.Title, answer.Text = p.name, p.title, append(p.text, answer.Text...)
	answer.Date = time.Now().UTC().Format(time.DateOnly)
	answer.Command = command(o, p.name)
	answer.Machine = machine()
	versions, err := o.version(ctx)
	answer.Versions = append([]string{versions}, answer.Versions...)
	return answer, err
}

// command is what measures one part with these options again.
func command(o options, name string) string {
	arguments := []string{"-parts", name}
	for i := 0; i < len(o.arguments); i++ {
		flag, _, joined := strings.Cut(strings.TrimLeft(o.arguments[i], "-"), "=")
		switch flag {
		case "binary", "write", "parts":
			if !joined {
				i++
			}
		default:
			word := o.arguments[i]
			if strings.Contains(word, " ") {
				word = "'" + word + "'"
			}
			arguments = append(arguments, word)
		}
	}
	return `make bench ARGS="` + strings.Join(arguments, " ") + `"`
}
