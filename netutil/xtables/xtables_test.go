package xtables_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/xtables"
)

const acceptRule = "-A FORWARD -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT\n"

var commands = []string{"ip6tables-legacy", "iptables-legacy"}

// enter is nettest.Enter where the kernel and the machine have legacy tables.
func enter(tb testing.TB) *xtables.Conn {
	tb.Helper()
	nettest.Enter(tb)
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			nettest.Unavailable(tb, "package iptables is missing: "+err.Error())
		}
	}
	elsewhere := nettest.Another(tb)
	if out, err := exec.Command("nsenter", "--net="+elsewhere, commands[0], "-S").CombinedOutput(); err != nil {
		nettest.Unavailable(tb, fmt.Sprintf("no legacy tables: %v\n%s", err, out))
	}
	c, err := xtables.Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func expect(tb testing.TB, when, command, want string) {
	tb.Helper()
	if diff := cmp.Diff(want, nettest.Run(tb, command+" -S FORWARD")); diff != "" {
		tb.Errorf("%s, %s (-want +got):\n%s", when, command, diff)
	}
}

func TestEnsure(t *testing.T) {
	c := enter(t)
	ensure := func(when string, want, changed bool) {
		t.Helper()
		got, err := c.Ensure(want)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got != changed {
			t.Errorf("%s: changed is %v", when, got)
		}
		if again, err := c.Ensure(want); again || err != nil {
			t.Errorf("%s, again: changed is %v, %v", when, again, err)
		}
	}
	for _, command := range commands {
		nettest.Run(t, command+" -P FORWARD DROP")
		before := nettest.Run(t, command+" -S")
		ensure("table made later", true, true)
		expect(t, "table made later", command, "-P FORWARD DROP\n"+acceptRule)

		nettest.Run(t, command+" -A FORWARD -i lo -j ACCEPT")
		ensure("another rule after it", true, true)
		want := "-P FORWARD DROP\n-A FORWARD -i lo -j ACCEPT\n" + acceptRule
		expect(t, "another rule after it", command, want)

		nettest.Run(t, command+" -I "+strings.TrimPrefix(strings.TrimSpace(acceptRule), "-A "))
		nettest.Run(t, command+" "+strings.TrimSpace(acceptRule))
		ensure("three of it", true, true)
		expect(t, "three of it", command, want)

		nettest.Run(t, command+" -F")
		ensure("flushed", true, true)
		expect(t, "flushed", command, "-P FORWARD DROP\n"+acceptRule)

		// Rules that only look like it belong to somebody else.
		others := ""
		for _, other := range []string{
			"-m mark --mark 0x10000000/0x10000000 -j ACCEPT",
			"-m mark --mark 0x20000000/0x20000000 -m comment --comment ndp6 -j ACCEPT",
			"-m mark ! --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT",
			"-m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6x -j ACCEPT",
			"-m mark --mark 0x10000000/0x20000000 -m comment --comment ndp6 -j ACCEPT",
			"-m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -m comment --comment x -j ACCEPT",
			"-m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j DROP",
			"-m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j REJECT --reject-with icmp-port-unreachable",
			"-o lo -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT",
			"-p tcp -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -m tcp --dport 22 -j ACCEPT",
		} {
			if command == "ip6tables-legacy" {
				other = strings.ReplaceAll(other, "icmp-", "icmp6-")
			}
			nettest.Run(t, command+" -A FORWARD "+other)
			others += "-A FORWARD " + other + "\n"
			ensure(other, true, true)
		}
		expect(t, "rules like it", command, "-P FORWARD DROP\n"+others+acceptRule)
		ensure("not wanted", false, true)
		expect(t, "rules like it stay", command, "-P FORWARD DROP\n"+others)

		nettest.Run(t, command+" -F")
		if diff := cmp.Diff(before, nettest.Run(t, command+" -S")); diff != "" {
			t.Errorf("removed, %s (-before +after):\n%s", command, diff)
		}
	}
}

func TestUnused(t *testing.T) {
	c := enter(t)
	if c.InUse() {
		t.Error("in use where nobody used them")
	}
	for _, want := range []bool{true, false} {
		if changed, err := c.Ensure(want); changed || err != nil {
			t.Errorf("Ensure(%v): changed is %v, %v", want, changed, err)
		}
	}
	tables := func() string {
		out := ""
		for _, file := range []string{"ip_tables_names", "ip6_tables_names"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil {
				t.Fatal(err)
			}
			out += string(b)
		}
		return out
	}
	if got := tables(); got != "" {
		t.Errorf("looking made tables: %q", got)
	}
	nettest.Run(t, "iptables-legacy -t nat -S")
	if c.InUse() {
		t.Error("in use with a nat table alone")
	}
	nettest.Run(t, "ip6tables-legacy -S")
	if !c.InUse() {
		t.Error("not in use with an IPv6 filter table")
	}
	if changed, err := c.Ensure(true); !changed || err != nil {
		t.Errorf("IPv6 alone: changed is %v, %v", changed, err)
	}
	if diff := cmp.Diff("nat\nfilter\n", tables()); diff != "" {
		t.Errorf("tables with IPv6 alone in use (-want +got):\n%s", diff)
	}
}

// TestOtherThread calls from a thread that is in another namespace.
func TestOtherThread(t *testing.T) {
	c := enter(t)
	nettest.Run(t, "ip6tables-legacy -P FORWARD DROP")
	other := nettest.Another(t)
	nettest.RunIn(t, other, "ip6tables-legacy -P FORWARD DROP")
	err := netns.Do(other, func() error {
		_, err := c.Ensure(true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "own namespace", "ip6tables-legacy", "-P FORWARD DROP\n"+acceptRule)
	if out := nettest.RunIn(t, other, "ip6tables-legacy -S FORWARD"); out != "-P FORWARD DROP\n" {
		t.Errorf("the thread's namespace:\n%s", out)
	}
}

func TestNoCommand(t *testing.T) {
	enter(t)
	nettest.Run(t, "ip6tables-legacy -P FORWARD DROP")
	t.Setenv("PATH", "/nowhere")
	here := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	err := netns.Do(here, func() error {
		c, err := xtables.Open()
		if err != nil {
			return err
		}
		defer c.Close()
		if err := hideCommands(); err != nil {
			return err
		}
		_, err = c.Ensure(true)
		return err
	})
	if !errors.Is(err, xtables.ErrNoCommand) {
		t.Fatalf("got %v", err)
	}
	want := "keep accept rule of ip6tables-legacy: ip6tables-legacy: " +
		"no such command: install package iptables, which has iptables-legacy and ip6tables-legacy"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// hideCommands covers the folders of administrators' commands, for the calling
// thread alone, which is not to be used for anything else.
func hideCommands() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	for _, folder := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if err := unix.Mount("none", folder, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hide %s: %w", folder, err)
		}
	}
	return nil
}

func TestWatch(t *testing.T) {
	c := enter(t)
	nettest.Run(t, "ip6tables-legacy -P FORWARD DROP", "iptables-legacy -P FORWARD DROP")
	type report struct {
		repaired bool
		err      error
	}
	reports := make(chan report, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.Watch(ctx, 20*time.Millisecond, func(repaired bool, err error) { reports <- report{repaired, err} })
	}()
	next := func(when string) {
		t.Helper()
		select {
		case r := <-reports:
			if !r.repaired || r.err != nil {
				t.Errorf("%s: repaired is %v, %v", when, r.repaired, r.err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: no report", when)
		}
	}
	if _, err := c.Ensure(true); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		nettest.Run(t, command+" -F")
		next("flushed")
		expect(t, "flushed", command, "-P FORWARD DROP\n"+acceptRule)
		nettest.Run(t, command+" -A FORWARD -i lo -j ACCEPT")
		next("another rule after it")
		expect(t, "another rule after it", command, "-P FORWARD DROP\n-A FORWARD -i lo -j ACCEPT\n"+acceptRule)
	}
	if _, err := c.Ensure(false); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "ip6tables-legacy "+strings.TrimSpace(acceptRule))
	next("one that is not wanted")
	expect(t, "one that is not wanted", "ip6tables-legacy", "-P FORWARD DROP\n-A FORWARD -i lo -j ACCEPT\n")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch returned %v", err)
	}
	if len(reports) > 0 {
		t.Errorf("reported without a reason: %+v", <-reports)
	}
}
