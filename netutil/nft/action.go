package nft

import (
	"strconv"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Goto goes on in another chain of the table and does not come back.
type Goto string

// String returns the action as nft prints it.
func (g Goto) String() string { return "goto " + string(g) }

func (g Goto) compile(Family) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: string(g)}}
}

func (g Goto) verdict() (code int32, chain string) { return int32(expr.VerdictGoto), string(g) }

func (g Goto) first() []byte { return nil }

func (g Goto) past() []byte { return nil }

// Jump goes on in another chain of the table and comes back at its end.
type Jump string

// String returns the action as nft prints it.
func (j Jump) String() string { return "jump " + string(j) }

func (j Jump) compile(Family) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: string(j)}}
}

func (j Jump) verdict() (code int32, chain string) { return int32(expr.VerdictJump), string(j) }

func (j Jump) first() []byte { return nil }

func (j Jump) past() []byte { return nil }

// Final is an action that ends the chain; a verdict map may have it too.
type Final string

// The final actions.
const (
	Accept Final = "accept" // ends the hook's chain; later chains may still drop
	Drop   Final = "drop"   // ends the packet
	Return Final = "return" // ends the chain
)

// String returns the action as nft prints it.
func (f Final) String() string { return string(f) }

func (f Final) compile(Family) []expr.Any {
	code, _ := f.verdict()
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictKind(code)}}
}

func (f Final) verdict() (code int32, chain string) { //nolint:unparam // a Verdict has both.
	switch f {
	case Accept:
		return int32(expr.VerdictAccept), ""
	case Return:
		return int32(expr.VerdictReturn), ""
	default:
		return int32(expr.VerdictDrop), ""
	}
}

func (f Final) first() []byte { return nil }

func (f Final) past() []byte { return nil }

// Reset ends the packet and the TCP connection that it belongs to: its sender
// is told that there is none. It needs a match for TCP before.
type Reset struct{}

// String returns the action as nft prints it.
func (Reset) String() string { return "reject with tcp reset" }

func (Reset) compile(Family) []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}
}

// Action is an action that needs nothing to be said about it, after which the
// rule goes on.
type Action string

// The actions.
const (
	Count      Action = "counter"    // counts packets and bytes
	Masquerade Action = "masquerade" // the address of the output link becomes the source
)

// String returns the action as nft prints it, without counts.
func (a Action) String() string { return string(a) }

func (a Action) compile(Family) []expr.Any {
	if a == Masquerade {
		return []expr.Any{&expr.Masq{}}
	}
	return []expr.Any{&expr.Counter{}}
}

// CountIn counts packets and bytes in a named counter of the table.
type CountIn string

// String returns the action as nft prints it.
func (c CountIn) String() string { return "counter name " + strconv.Quote(string(c)) }

func (c CountIn) compile(Family) []expr.Any {
	return []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: string(c)}}
}

func (r Rule) compile(f Family) []expr.Any {
	var exprs []expr.Any
	for _, s := range r {
		exprs = append(exprs, s.compile(f)...)
	}
	return exprs
}
