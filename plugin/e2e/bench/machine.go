package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
)

// machine says where it was measured.
func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // Every Linux has it.
	// What a distributor appends says nothing to others.
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	text := fmt.Sprintf("Linux %s, %s, %d CPUs", kernel, runtime.GOARCH, runtime.NumCPU())
	info, _ := os.ReadFile("/proc/cpuinfo") // Some machines do not name their CPU there.
	if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindStringSubmatch(string(info)); m != nil {
		text += " (" + m[1] + ")"
	}
	return text
}

// congestionControl is what streams of this machine are sent with.
func congestionControl() string {
	name, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control") // Every Linux has it.
	return strings.TrimSpace(string(name))
}

// version is that of the plugin.
func (o options) version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, o.binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", o.binary, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line), nil
}

// packageVersion is that of a Debian package of this machine.
func packageVersion(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "", fmt.Errorf("%s is not installed: apt-get install %s: %w", name, name, err)
	}
	return name + " " + string(out), nil
}
