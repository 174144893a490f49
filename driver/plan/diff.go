package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
)

// A Host is a set of kernel objects, each with the network or endpoint that it
// belongs to, and the firewall's policy. The owner of what all share is "".
type Host struct {
	Objects map[Key]Owned
	Policy  firewall.Policy
}

// An Owned is an object and the id of the network or endpoint that wants it.
type Owned struct {
	Object
	Owner string
}

// NewHost returns a host without objects.
func NewHost() Host { return Host{Objects: make(map[Key]Owned)} }

// Add puts objects of one owner into the host. An object that is there already
// keeps its first owner.
func (h Host) Add(owner string, objects ...Object) {
	for _, o := range objects {
		if _, ok := h.Objects[o.Key()]; !ok {
			h.Objects[o.Key()] = Owned{o, owner}
		}
	}
}

// String lists the objects, one a line, in the order in which they are built.
func (h Host) String() string {
	var b strings.Builder
	for _, k := range slices.SortedFunc(maps.Keys(h.Objects), compare) {
		b.WriteString(h.Objects[k].String() + "\n")
	}
	return b.String()
}

// A Verb is what an Op does to its object.
type Verb string

// The verbs. Each can be repeated.
const (
	Add Verb = "add"
	Set Verb = "set" // exists, with other properties
	Del Verb = "del" // for a sysctl: back to its Value, which it had before us
)

// An Op is one change to the kernel.
type Op struct {
	Verb Verb
	Owned
}

// String reads like the command that an operator would run.
func (op Op) String() string {
	if _, ok := op.Object.(Sysctl); ok && op.Verb == Del {
		return "restore " + op.Object.String()
	}
	return string(op.Verb) + " " + op.Object.String()
}

// Diff returns the operations that lead from have to want, additions before
// removals. A veth pair that is gone is not made again unless its endpoint is
// joining: nobody would move its other end into the sandbox.
func Diff(have, want Host) []Op {
	var ops, dels []Op
	for k, w := range want.Objects {
		h, ok := have.Objects[k]
		switch {
		case ok && equal(h.Object, w.Object):
		case ok:
			ops = append(ops, Op{Set, w})
		case creatable(w.Object):
			ops = append(ops, Op{Add, w})
		}
	}
	for k, h := range have.Objects {
		if _, ok := want.Objects[k]; !ok {
			dels = append(dels, Op{Del, h})
		}
	}
	// Of a large host few objects differ: only those are put in order.
	slices.SortFunc(ops, func(a, b Op) int { return compare(a.Key(), b.Key()) })
	slices.SortFunc(dels, func(a, b Op) int { return compare(b.Key(), a.Key()) })
	return append(ops, dels...)
}

// equal reports whether the object that exists is as good as the wanted one.
func equal(have, want Object) bool {
	switch w := want.(type) {
	case Sysctl:
		h, ok := have.(Sysctl)
		return ok && (h.Value == w.Value || w.From != "" && h.Value != w.From)
	case Veth:
		h, ok := have.(Veth)
		w.Peer, w.PeerMAC = h.Peer, h.PeerMAC
		return ok && h == w
	case Rules:
		h, ok := have.(Rules)
		return ok && h.Equal(w.Endpoint)
	case Responder, FastLink, FastPort:
		return have.String() == w.String()
	default:
		return have == want
	}
}

func creatable(o Object) bool {
	v, ok := o.(Veth)
	return !ok || v.Peer != ""
}
