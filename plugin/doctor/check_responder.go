package doctor

import (
	"fmt"
	"slices"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
)

// responds reports whether a responder is on the link.
func (f *Facts) responds(u Uplink) bool { return slices.Contains(f.Responders, u.Index) }

// responder is what the daemon says of it, zero where it says nothing.
func (f *Facts) responder(u Uplink) driver.UplinkStatus {
	if f.Daemon.Status == nil {
		return driver.UplinkStatus{}
	}
	for _, s := range f.Daemon.Status.Uplinks {
		if s.Name == u.Name {
			return s
		}
	}
	return driver.UplinkStatus{}
}

// willRespond reports whether a responder is to be on the link: as the daemon
// says, or with the first network.
func (f *Facts) willRespond(u Uplink) bool {
	mode := f.Settings.Responder
	return f.responder(u).Responder == plan.AnswerBPF ||
		len(f.Networks) == 0 && (mode == plan.AnswerAuto || mode == plan.AnswerBPF) && f.Kernel.Responder == nil
}

// allRespond reports whether the daemon says that a responder is on each uplink
// where somebody answers.
func (f *Facts) allRespond() bool {
	if f.Daemon.Status == nil || len(f.Daemon.Status.Uplinks) == 0 {
		return false
	}
	return !slices.ContainsFunc(f.Daemon.Status.Uplinks, func(s driver.UplinkStatus) bool { return s.Responder != plan.AnswerBPF })
}

// responders finds one that is not where it should be, or that the kernel does
// not run.
func responders(f *Facts, u Uplink) []Finding {
	if u.Err != nil || !f.proxies(u) {
		return nil
	}
	s := f.responder(u)
	switch {
	case s.Responder == plan.AnswerBPF && !f.responds(u):
		return []Finding{{
			Code: ResponderMissing, Severity: Error,
			What:   fmt.Sprintf("the program that answers neighbor solicitations is not on uplink %s", u.Name),
			Why:    "the kernel's proxy entries answer multicast ones, but with net.ipv6.conf.all.proxy_ndp=0 no unicast ones: connections stall every half minute",
			Advice: fmt.Sprintf("the running ndp6 puts it back within a second: if it is gone when you ask again, who removes the clsact qdisc (tc qdisc show dev %s)?", u.Name),
		}}
	case s.Asked == plan.AnswerAuto && s.Responder == plan.AnswerKernel:
		return []Finding{{
			Code: ResponderFallback, Severity: Note,
			What:   fmt.Sprintf("the kernel answers neighbor solicitations on uplink %s by itself: %s", u.Name, s.Reason),
			Why:    "containers are reached all the same; each packet that the host forwards takes longer the more containers there are, which tells from a thousand on",
			Advice: "give ndp6 what it lacks, or choose --responder kernel to hear no more of it",
		}}
	}
	return nil
}
