package doctor_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/doctor"
)

func steps(t doctor.Trace) string {
	var b strings.Builder
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "%s %s: %s", s.Result, s.At, s.Detail)
		if s.Packets != nil {
			b.WriteString(" (counted)")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// listen has the container listen on a port.
func (h *host) listen(port uint16) {
	h.tb.Helper()
	if err := netns.Do(h.container, func() error {
		l, err := net.Listen("tcp", netip.AddrPortFrom(container, port).String())
		if err == nil {
			h.tb.Cleanup(func() { l.Close() })
		}
		return err
	}); err != nil {
		h.tb.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	const (
		address = "2001:db8:1:0:a:242:ac11:2"
		before  = "pass uplink: eth0, up\n" +
			"pass router: fe80::9 asked who has the address, and found it here\n" +
			"pass proxy entry: there on eth0\n" +
			"pass sysctl: net.ipv6.conf.eth0.proxy_ndp is 1\n" +
			"pass sysctl: net.ipv6.conf.all.proxy_ndp is 1\n" +
			"pass sysctl: net.ipv6.conf.all.forwarding is 1\n" +
			"pass sysctl: net.ipv6.conf.eth0.forwarding is 1\n" +
			"pass route: 2001:db8:1:0:a::/80 dev nd-4f1c2a9b7d30 metric 1024\n"
		after = "pass neighbor: 2001:db8:1:0:a:242:ac11:2 is at 02:42:ac:11:00:02 on nd-4f1c2a9b7d30\n" +
			"pass port: ndh-9a6c1f20b5e is up\n" +
			"pass container: 02:42:ac:11:00:02 has the address\n"
	)
	for _, tt := range []struct {
		name, target string
		do           func(*host)
		want         string
	}{
		{
			name: "published", target: "[" + address + "]:80", do: func(h *host) { h.listen(80) },
			want: before + "pass firewall: inet ndp6, chain forward > entering: accept\n" + after + "pass service: something listens on port 80\n",
		},
		{
			name: "published, in front of the rules", target: "[" + address + "]:80", do: func(h *host) {
				h.status.Networks[0].Datapath = driver.DatapathBPF
				h.listen(80)
			},
			want: before + "pass fast path: forwards it, in front of the rules, unless it has to leave it to the kernel\n" +
				"pass firewall: inet ndp6, chain forward > entering: accept\n" + after + "pass service: something listens on port 80\n",
		},
		{
			name: "not published, beside what is in front of the rules", target: "[" + address + "]:22",
			do:   func(h *host) { h.status.Networks[0].Datapath = driver.DatapathBPF },
			want: before + "stop firewall: inet ndp6, chain forward > entering: drop, counter inbound: port 22 is not published (counted)\n" + after,
		},
		{
			name: "nothing listens", target: "[" + address + "]:80/tcp", do: func(*host) {},
			want: before + "pass firewall: inet ndp6, chain forward > entering: accept\n" + after + "stop service: nothing in the container listens on port 80 of this address\n",
		},
		{
			name: "not published", target: "[" + address + "]:22", do: func(*host) {},
			want: before + "stop firewall: inet ndp6, chain forward > entering: drop, counter inbound: port 22 is not published (counted)\n" + after,
		},
		{
			name: "echo request", target: address, do: func(*host) {},
			want: before + "pass firewall: inet ndp6, chain forward > entering > entering_icmp6: accept\n" + after,
		},
		{
			name: "other firewall", target: "[" + address + "]:80", do: func(h *host) { h.run("ip6tables-legacy -P FORWARD DROP") },
			want: before + "pass firewall: inet ndp6, chain forward > entering: accept\nstop firewall: ip6tables-legacy FORWARD: drop by its policy\n" + after,
		},
		{
			name: "no proxy entry", target: address, do: func(h *host) { h.run("ip -6 neigh del proxy " + address + " dev eth0") },
			want: strings.NewReplacer(
				"pass router: fe80::9 asked who has the address, and found it here", "stop router: fe80::9 asked who has the address, and this host did not answer",
				"pass proxy entry: there", "stop proxy entry: missing",
			).Replace(before) + "pass firewall: inet ndp6, chain forward > entering > entering_icmp6: accept\n" + after,
		},
		{
			name: "container without the address", target: address, do: func(h *host) { nettest.RunIn(h.tb, h.container, "ip addr flush dev eth0") },
			want: before + "pass firewall: inet ndp6, chain forward > entering > entering_icmp6: accept\n" +
				strings.Replace(after, "pass container: 02:42:ac:11:00:02 has the address", "stop container: it does not say on nd-4f1c2a9b7d30 that it has the address", 1),
		},
		{
			// Outside it is known by the host's address alone.
			name: "IPv4", target: "10.166.0.2", do: func(*host) {},
			want: "pass uplink: eth0, up\npass sysctl: net.ipv4.ip_forward is 1\n" +
				"pass route: 10.166.0.0/24 dev nd-4f1c2a9b7d30\n" +
				"stop firewall: inet ndp6, chain forward > entering > entering_icmp4 > hidden: drop, counter hidden (counted)\n" +
				"pass neighbor: 10.166.0.2 is at 02:42:ac:11:00:02 on nd-4f1c2a9b7d30\npass port: ndh-9a6c1f20b5e is up\n",
		},
		{
			name: "no daemon", target: address, do: func(h *host) { h.daemon() },
			want: before + "pass firewall: inet ndp6, chain forward > entering > entering_icmp6: accept\n" +
				strings.Replace(after, "pass port: ndh-9a6c1f20b5e is up", "unseen port: no ndp6 answers that knows which it is", 1),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // Most of the time a host waits for another.
			h := newHost(t)
			tt.do(h)
			target, err := doctor.ParseTarget(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			got, err := doctor.Follow(t.Context(), h.config, target)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, steps(got)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if got.Arrives() == strings.Contains(tt.want, "stop ") {
				t.Errorf("arrives is %v", got.Arrives())
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		h := newHost(t)
		_, err := doctor.Follow(t.Context(), h.config, doctor.Target{Addr: netip.MustParseAddr("2001:db8::7"), Port: 80, Proto: 6})
		want := "trace [2001:db8::7]:80/tcp: no container of ndp6 has this address: there is " + address + ", 10.166.0.2"
		if !errors.Is(err, doctor.ErrUnknown) || err.Error() != want {
			t.Errorf("error (-want +got):\n%s", cmp.Diff(want, fmt.Sprint(err)))
		}
	})
}

func TestParseTarget(t *testing.T) {
	for _, tt := range []struct{ in, want, err string }{
		{in: "2001:db8::2", want: "2001:db8::2"},
		{in: "[2001:db8::2]", want: "2001:db8::2"},
		{in: "[2001:db8::2]:80", want: "[2001:db8::2]:80/tcp"},
		{in: "[2001:db8::2]:53/udp", want: "[2001:db8::2]:53/udp"},
		{in: "10.1.0.2", want: "10.1.0.2"},
		{in: "10.1.0.2:53/udp", want: "10.1.0.2:53/udp"},
		{in: "www", err: `"www" is not an address: want 2001:db8::2, [2001:db8::2]:80 or 10.1.0.2:53/udp`},
		{in: "[2001:db8::2]:0", err: `"[2001:db8::2]:0" is not an address: want 2001:db8::2, [2001:db8::2]:80 or 10.1.0.2:53/udp`},
		{in: "10.1.0.2:53/sctp", err: `protocol "sctp" of "10.1.0.2:53/sctp": want tcp or udp`},
		{in: "10.1.0.2/udp", err: `"10.1.0.2/udp" has a protocol and no port: want [2001:db8::2]:80 or 10.1.0.2:53/udp`},
	} {
		t.Run(tt.in, func(t *testing.T) {
			got, err := doctor.ParseTarget(tt.in)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error (-want +got):\n%s", cmp.Diff(tt.err, fmt.Sprint(err)))
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
