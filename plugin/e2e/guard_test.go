package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// macOf is the MAC of a container's eth0.
func (p *places) macOf(name string) [6]byte {
	p.Helper()
	out, err := p.nodes[name].Exec(p.ctx(), "ip", "-o", "link", "show", "dev", "eth0")
	p.ok(err)
	_, text, _ := strings.Cut(out, "link/ether ")
	mac, err := inet.ParseMAC(strings.Fields(text)[0])
	p.ok(err)
	return mac
}

// impostor gives a container NET_ADMIN and has it be someone else in each way
// there is. Its neighbor must not hear of it, nor may the neighbor's address
// move, unless the network's guard is off.
//
// Shows RFC 2827 3 (port).
func impostor(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.dad=off")
	b.network("free", "--subnet", "2001:db8:1:0:b::/80", "-o", "ndp6.guard=off", "-o", "ndp6.dad=off")
	for network, prefix := range map[string]string{"n": "2001:db8:1:0:a", "free": "2001:db8:1:0:b"} {
		p := places{bed: b, nodes: map[string]*lab.Node{}, addrs: map[string]netip.Addr{}}
		p.start("evil", network, nil, "--cap-add", "NET_ADMIN")
		victim := p.start("victim", network, served, "-p", "80:80")
		seen := func(title string, wanted func(f []byte) bool, act func()) {
			b.Helper()
			t, err := p.nodes["victim"].Tap("eth0", wanted)
			b.ok(err)
			act()
			time.Sleep(50 * time.Millisecond) // What was sent arrives.
			heard := t.Seen() > 0
			b.ok(t.Close())
			if heard != (network == "free") {
				b.Errorf("%s: the neighbor heard of the impostor: %t", title+" on "+network, heard)
			}
		}
		ping := func(args ...string) func() {
			return func() {
				_, _ = b.host.Docker(b.ctx(), append(append([]string{"exec", "evil", "ping", "-6", "-c2", "-i0.2", "-W1"}, args...), victim.addr.String())...)
			}
		}
		evil := p.nodes["evil"]
		foreign := prefix + "::bad"
		other := [6]byte{0x02, 0x66, 0, 0, 0, 1}
		b.ok(evil.IP(b.ctx(), "addr add "+foreign+"/80 dev eth0 nodad"))
		seen("another address", from6(netip.MustParseAddr(foreign)), ping("-I", foreign))
		b.ok(evil.IP(b.ctx(), "addr del "+foreign+"/80 dev eth0"))

		own := inet.MAC(p.macOf("evil"))
		b.ok(evil.IP(b.ctx(), "link set eth0 address "+inet.MAC(other).String()))
		seen("another MAC", fromMAC(other), ping())
		b.ok(evil.IP(b.ctx(), "link set eth0 address "+own.String()))

		if err := evil.IP(b.ctx(), "link add link eth0 name mv0 address "+inet.MAC(other).String()+" type macvlan mode bridge"); err == nil {
			b.ok(evil.IP(b.ctx(), "link set mv0 up"))
			tap, err := evil.Tap("mv0", nil)
			b.ok(err)
			frame := lab.SYNFrame(other, p.macOf("victim"), netip.AddrPortFrom(p.addrs["evil"], 5), netip.AddrPortFrom(victim.addr, 80))
			seen("macvlan", fromMAC(other), func() { b.ok(tap.Send(frame)) })
			b.ok(tap.Close())
			b.ok(evil.IP(b.ctx(), "link del mv0"))
		} else {
			b.Logf("no macvlan on this kernel: %v", err)
		}

		tap, err := evil.Tap("eth0", nil)
		b.ok(err)
		frame := lab.SYNFrame(own, p.macOf("victim"), netip.AddrPortFrom(p.addrs["evil"], 5), netip.AddrPortFrom(victim.addr, 80))
		tagged := append(append(append([]byte{}, frame[:12]...), 0x81, 0, 0, 1), frame[12:]...)
		// The kernel of the receiver takes the tag off and puts it beside the frame.
		seen("VLAN tag", lab.IsTCPTo(80), func() { b.ok(tap.Send(tagged)) })
		b.ok(tap.Close())

		b.ok(evil.IP(b.ctx(), fmt.Sprintf("addr add %s/128 dev eth0 nodad", victim.addr)))
		_, _ = b.host.Docker(b.ctx(), "exec", "evil", "ping", "-6", "-c2", "-i0.2", "-W1", "-I", victim.addr.String(), lab.RouterGUA)
		if network == "n" {
			got, err := b.Outside.Ask(b.ctx(), "tcp", netip.AddrPortFrom(victim.addr, 80), answerTime)
			if err != nil || got.String() != lab.Outside {
				b.Errorf("the victim's address answers %s, %v after the impostor took it", got, err)
			}
		}
		b.docker("rm", "-f", "evil", "victim")
	}
}

func from6(src netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) >= 14+40 && f[12] == 0x86 && f[13] == 0xdd && [16]byte(f[14+8:]) == src.As16()
	}
}

func fromMAC(mac [6]byte) func([]byte) bool {
	return func(f []byte) bool { return len(f) > 14 && [6]byte(f[6:]) == mac }
}

// flood sends frames from MACs and addresses by the thousand. The host must
// remember none.
//
// Shows RFC 6583 7.1 (tables).
func flood(b *bed) {
	const frames = 20000
	b.network("n", "--subnet", pool)
	p := b.newPlaces()
	p.start("c1", "n", served, "-p", "8080:80")
	p.start("evil", "n", nil)
	remembered := func() (n int) {
		b.Helper()
		for _, command := range []string{"bridge fdb show br " + b.bridgeOf("n"), "ip -6 neigh show dev " + b.bridgeOf("n"), "ip -4 neigh show dev " + b.bridgeOf("n")} {
			out, err := b.host.Exec(b.ctx(), strings.Fields(command)...)
			b.ok(err)
			n += strings.Count(out, "\n")
		}
		return n
	}
	before := remembered()
	tap, err := p.nodes["evil"].Tap("eth0", nil)
	b.ok(err)
	defer tap.Close()
	host := p.addrs["host"]
	for range frames {
		var random [8]byte
		_, _ = rand.Read(random[:])
		src := netip.MustParsePrefix(pool).Addr().As16()
		copy(src[10:], random[:6])
		from := [6]byte{0x02, 0x77, random[0], random[1], random[2], random[3]}
		b.ok(tap.Send(lab.SYNFrame(from, [6]byte{0x33, 0x33, 0, 0, 0, 1}, netip.AddrPortFrom(netip.AddrFrom16(src), 9), netip.AddrPortFrom(host, 9))))
	}
	after := remembered()
	b.Logf("%d entries before %d frames, %d after", before, frames, after)
	if after > before+10 {
		b.Errorf("the host has %d entries of forwarding and neighbor tables after the flood, before it %d", after, before)
	}
	p.want("after the flood", "outside c1:80 open\noutside host:8080 open\nhost c1:81 served")
}
