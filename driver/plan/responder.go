package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Responder answers solicitations on Link for its Targets, in front of the
// kernel's proxy entries, and drops those for addresses of Pools that nobody has.
type Responder struct {
	Link string
	// MAC is the uplink's, which answers tell.
	MAC inet.MAC
	// Source is what answers come from; the zero Addr is the address that was
	// asked for. Global is the same for who asks from no link-local address; the
	// zero Addr is Source.
	Source, Global netip.Addr
	// Pools are prefixes that are of our networks alone, in the order of addresses.
	Pools []netip.Prefix
}

// A Target is an address that the Responder of Link answers for.
type Target struct {
	Addr netip.Addr
	Link string
}

// Key is the link's name.
func (r Responder) Key() Key { return Key{KindResponder, r.Link} }

// Key is the address and its link.
func (t Target) Key() Key { return Key{KindTarget, t.Addr.String() + " " + t.Link} }

func (r Responder) String() string {
	words := []string{"responder dev", r.Link, "address", r.MAC.String()}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Global.IsValid() {
		words = append(words, "global", r.Global.String())
	}
	for _, p := range r.Pools {
		words = append(words, "pool", p.String())
	}
	return strings.Join(words, " ")
}

func (t Target) String() string { return fmt.Sprintf("target %s dev %s", t.Addr, t.Link) }

// serving returns r with the prefixes of n that neighbors may solicit.
func (r Responder) serving(n Network, up Uplinks) Responder {
	all := slices.Concat(r.Pools, solicited(n, up))
	slices.SortFunc(all, netip.Prefix.Compare)
	r.Pools = slices.Compact(all)
	return r
}

// Answered reports whether neighbors on the uplink may solicit addresses of n,
// so that somebody answers there.
func Answered(n Network, up Uplinks) bool { return !n.Internal && proxied(n, up) }

// An Answering says what answers on uplinks.
type Answering string

// What answers on uplinks.
const (
	// AnswerAuto is AnswerBPF where the kernel lets it, else AnswerKernel.
	AnswerAuto Answering = "auto"
	// AnswerKernel are the kernel's proxy entries alone.
	AnswerKernel Answering = "kernel"
	// AnswerBPF is a Responder in front of them.
	AnswerBPF Answering = "bpf"
)

// A NASource says what address the answers of a Responder come from.
type NASource string

// The sources of answers.
const (
	SourceAuto      NASource = "auto" // an address of the uplink, of the scope of who asks
	SourceTarget    NASource = "target"
	SourceLinkLocal NASource = "link-local"
)
