package doctor_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/doctor"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
)

// well are the facts of a host with nothing to say about.
func well() doctor.Facts {
	up := uplink.Uplink{Name: "eth0", MTU: 1500, Running: true, OnLink: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")}}
	return doctor.Facts{
		Kernel:       doctor.Kernel{Release: "6.1.0-18-amd64", Entries: 10, Limit: 1024},
		Capabilities: doctor.Capabilities{Seen: true, Of: "ndp6, process 7,", Bits: 1<<12 | 1<<13},
		Daemon:       doctor.Daemon{Status: &admin.Status{}, PID: 7},
		Host:         uplink.Snapshot{Links: []kernel.Link{{Name: "lo"}}},
		Sysctls: map[string]string{
			"net/ipv6/conf/all/disable_ipv6": "0", "net/ipv6/conf/eth0/disable_ipv6": "0",
		},
		Uplinks: []doctor.Uplink{{Spec: "auto", Link: kernel.Link{Name: "eth0", Up: true}, Uplink: up, Gateway: netip.MustParseAddr("fe80::9")}},
		Docker:  doctor.Docker{Asked: true, Release: engine.Release{Version: "29.0.1"}},
	}
}

// answered gives the host a proxy entry, with all.proxy_ndp as a program wants it.
func answered(f *doctor.Facts, s driver.UplinkStatus) {
	s.Name, f.Uplinks[0].Index = "eth0", 7
	f.Daemon.Status.Uplinks = []driver.UplinkStatus{s}
	f.Neighbors = []kernel.Neighbor{{Addr: netip.MustParseAddr("2001:db8:1::2"), Link: "eth0", Protocol: plan.Protocol, Proxy: true}}
	f.Sysctls["net/ipv6/conf/all/proxy_ndp"] = "0"
}

// TestDiagnose has the causes that no namespace can be made to have.
func TestDiagnose(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*doctor.Facts)
		want   []doctor.Code
	}{
		{name: "well", change: func(*doctor.Facts) {}},
		{name: "nothing seen", change: func(f *doctor.Facts) { *f = doctor.Facts{Daemon: doctor.Daemon{Denied: true}} }},
		{"release of an old kernel", func(f *doctor.Facts) { f.Kernel.Release = "5.9.16" }, []doctor.Code{doctor.KernelOld}},
		{name: "release of the first kernel", change: func(f *doctor.Facts) { f.Kernel.Release = "5.10.0-28-amd64" }},
		{name: "release that cannot be read", change: func(f *doctor.Facts) { f.Kernel.Release = "linux" }},
		{"kernel that counts the hop limit down", func(f *doctor.Facts) { f.Kernel.Release = "5.15.0-91-generic" }, []doctor.Code{doctor.KernelProxyUnicast}},
		{name: "such a kernel, with a program in front of it", change: func(f *doctor.Facts) {
			f.Kernel.Release = "5.15.0-91-generic"
			answered(f, driver.UplinkStatus{Asked: plan.AnswerAuto, Responder: plan.AnswerBPF})
			f.Responders = []int{7}
		}},
		{name: "kernel after it", change: func(f *doctor.Facts) { f.Kernel.Release = "5.16" }},
		{
			"kernel without anything", func(f *doctor.Facts) {
				f.Kernel.Rules = errors.Join(nft.ErrNoNftables, nft.ErrNoNAT, nft.ErrNoBridge)
				f.Kernel.Bridge, f.Kernel.Veth = errors.New("operation not supported"), errors.New("operation not supported")
			},
			[]doctor.Code{doctor.KernelNoNftables, doctor.KernelNoNAT, doctor.KernelNoBridgeFilter, doctor.KernelNoBridge, doctor.KernelNoVeth},
		},
		{"kernel without IPv6", func(f *doctor.Facts) { f.Sysctls = nil }, []doctor.Code{doctor.IPv6Off}},
		{"neighbor table full", func(f *doctor.Facts) { f.Kernel.Entries = 1000 }, []doctor.Code{doctor.NeighborTable}},
		{"no CAP_NET_ADMIN", func(f *doctor.Facts) { f.Capabilities.Bits = 1 << 13 }, []doctor.Code{doctor.CapabilityMissing}},
		{
			"store of a newer ndp6, so no ndp6", func(f *doctor.Facts) {
				f.Daemon = doctor.Daemon{Err: errors.New("no ndp6 serves"), Store: fmt.Errorf("inspect store: %w", store.ErrNewer)}
			}, []doctor.Code{doctor.StoreNewer, doctor.DaemonDown},
		},
		{
			"store on a disk that ended", func(f *doctor.Facts) {
				f.Daemon = doctor.Daemon{Err: errors.New("no ndp6 serves"), Store: errors.New("input/output error")}
			}, []doctor.Code{doctor.StoreFailing, doctor.DaemonDown},
		},
		{"no uplink", func(f *doctor.Facts) { f.Uplinks = []doctor.Uplink{{Spec: "auto", Err: uplink.ErrNotFound}} }, []doctor.Code{doctor.NoDefaultRoute}},
		{
			"checked sysctls, no network yet", func(f *doctor.Facts) {
				f.Settings.Sysctls = settings.Check
				maps.Copy(f.Sysctls, map[string]string{
					"net/ipv6/conf/all/forwarding": "0", "net/ipv6/conf/eth0/proxy_ndp": "0",
					"net/ipv6/conf/all/proxy_ndp": "0", "net/ipv6/neigh/eth0/proxy_delay": "80",
				})
			}, []doctor.Code{doctor.ForwardingOff, doctor.ProxyNDPOff, doctor.ProxyNDPUnicastOff, doctor.ProxyDelay},
		},
		{
			"checked sysctls, no network yet, and a program to come", func(f *doctor.Facts) {
				f.Settings.Sysctls, f.Settings.Responder = settings.Check, plan.AnswerAuto
				maps.Copy(f.Sysctls, map[string]string{
					"net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth0/proxy_ndp": "0",
					"net/ipv6/conf/all/proxy_ndp": "0", "net/ipv6/neigh/eth0/proxy_delay": "0",
				})
			}, []doctor.Code{doctor.ProxyNDPOff},
		},
		{
			"checked sysctls, no network yet, and no program to come", func(f *doctor.Facts) {
				f.Settings.Sysctls, f.Settings.Responder = settings.Check, plan.AnswerAuto
				f.Kernel.Responder = errors.New("the process lacks CAP_BPF")
				f.Sysctls["net/ipv6/conf/all/proxy_ndp"] = "0"
			}, []doctor.Code{doctor.ProxyNDPUnicastOff},
		},
		{
			name: "the same, to be set with the first network", change: func(f *doctor.Facts) {
				f.Sysctls["net/ipv6/conf/all/forwarding"], f.Sysctls["net/ipv6/conf/eth0/proxy_ndp"] = "0", "0"
			},
		},
		{
			"program removed", func(f *doctor.Facts) {
				answered(f, driver.UplinkStatus{Asked: plan.AnswerAuto, Responder: plan.AnswerBPF})
			}, []doctor.Code{doctor.ResponderMissing},
		},
		{name: "program there", change: func(f *doctor.Facts) {
			answered(f, driver.UplinkStatus{Asked: plan.AnswerAuto, Responder: plan.AnswerBPF})
			f.Responders = []int{7}
		}},
		{
			"program left by a dead ndp6", func(f *doctor.Facts) {
				answered(f, driver.UplinkStatus{})
				f.Daemon, f.Responders = doctor.Daemon{Err: errors.New("no ndp6 serves")}, []int{7}
			}, []doctor.Code{doctor.DaemonDown},
		},
		{
			"no program, as the kernel lets none", func(f *doctor.Facts) {
				answered(f, driver.UplinkStatus{Asked: plan.AnswerAuto, Responder: plan.AnswerKernel, Reason: "the process lacks CAP_BPF"})
				f.Sysctls["net/ipv6/conf/all/proxy_ndp"] = "1"
			}, []doctor.Code{doctor.ResponderFallback},
		},
		{
			"no program, as was asked for", func(f *doctor.Facts) {
				answered(f, driver.UplinkStatus{Asked: plan.AnswerKernel, Responder: plan.AnswerKernel})
			}, []doctor.Code{doctor.ProxyNDPUnicastOff},
		},
		{"Docker without root", func(f *doctor.Facts) { f.Docker.Rootless = true }, []doctor.Code{doctor.DockerRootless}},
		{
			"Docker before 28", func(f *doctor.Facts) { f.Docker.Version = "26.1.5+dfsg1" },
			[]doctor.Code{doctor.DockerIPv6Names, doctor.DockerIPv6Default},
		},
		{"names from Docker before 29", func(f *doctor.Facts) {
			f.Docker.Version, f.Settings.IID = "28.5.2", alloc.Name
		}, []doctor.Code{doctor.DockerNoNames}},
		{
			"what the daemon says", func(f *doctor.Facts) {
				f.Daemon.Status = &admin.Status{Status: driver.Status{
					Warnings: []driver.Warning{{Text: "prefix is gone"}}, Drift: []string{"add neigh proxy"},
					Problems: []driver.ProblemStatus{{Error: "no buffer space"}},
				}}
			}, []doctor.Code{doctor.StatusProblem, doctor.StatusWarning, doctor.StatusDrift},
		},
		{
			name: "our own drop is as it should be", change: func(f *doctor.Facts) {
				f.Hops = []doctor.Hop{{Verdicts: []judge.Verdict{{Family: "inet", Table: "ndp6", Chain: "forward", Way: []string{"forward"}, Drop: true}}}}
			},
		},
		{
			"errors before warnings, whatever their place", func(f *doctor.Facts) {
				f.Uplinks[0].OnLink = nil
				f.Taken = []doctor.Taken{{Listener: hostport.Listener{Proto: 6}}}
			}, []doctor.Code{doctor.PortTaken, doctor.NoPrefix},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := well()
			tt.change(&f)
			r := doctor.Diagnose(f)
			var got []doctor.Code
			for _, f := range r.Findings {
				got = append(got, f.Code)
				if f.What == "" || f.Why == "" || f.Fix == nil {
					t.Errorf("%s says too little: %+v", f.Code, f)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFirewallFixes has the words of those whose rules have tools of their own.
func TestFirewallFixes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		verdict judge.Verdict
		want    []string
	}{
		{
			"firewalld",
			judge.Verdict{Family: "inet", Table: "firewalld", Way: []string{"filter_FORWARD"}},
			[]string{"firewall-cmd --zone=ndp6 --add-interface=nd-1"},
		},
		{
			"ufw",
			judge.Verdict{Family: "ip6", Table: "filter", Way: []string{"FORWARD", "ufw6-reject-forward"}},
			[]string{"ufw route allow out on nd-1", "ufw route allow in on nd-1"},
		},
		{
			"anybody",
			judge.Verdict{Family: "inet", Table: "admin", Way: []string{"forward", "deeper"}},
			[]string{`nft insert rule inet admin forward oifname "nd-1" accept`, `nft insert rule inet admin forward iifname "nd-1" accept`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := well()
			tt.verdict.Drop = true
			f.Hops = []doctor.Hop{{Network: doctor.Network{Bridge: "nd-1"}, Verdicts: []judge.Verdict{tt.verdict}}}
			r := doctor.Diagnose(f)
			if len(r.Findings) != 1 || r.Findings[0].Code != doctor.FirewallDrop {
				t.Fatalf("one drop:\n%s", text(r))
			}
			if diff := cmp.Diff(tt.want, r.Findings[0].Fix); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}
