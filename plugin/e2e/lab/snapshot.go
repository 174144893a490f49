package lab

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Snapshot is the host's network configuration as text: links, addresses,
// routes, permanent neighbors, proxy entries, packet rules without counters,
// and every sysctl below net. Two of them can be compared line by line.
func (h *Host) Snapshot(ctx context.Context) (string, error) {
	// Whether a link has a carrier is not configuration, and shows up to a second
	// late. Indexes are new in each boot, and so is the MAC of Docker's own bridge.
	passing := regexp.MustCompile(`NO-CARRIER,|,LOWER_UP|,M-DOWN| state [A-Z]+| linkdown| dead|(?m:^[0-9]+: )|@if[0-9]+`)
	bridgeMAC := regexp.MustCompile(`(docker0: .* link/ether )\S+`)
	var text strings.Builder
	for _, command := range []string{
		"ip -o link show",
		"ip -o addr show",
		"ip -4 route show table all",
		"ip -6 route show table all",
		"ip neigh show nud permanent",
		"ip -4 neigh show proxy",
		"ip -6 neigh show proxy",
		"tc filter show dev eth0 ingress",
		"tc qdisc show dev eth0",
		"ip rule show",
		"ip -6 rule show",
	} {
		out, err := h.Exec(ctx, strings.Fields(command)...)
		if err != nil {
			return "", fmt.Errorf("snapshot: %w", err)
		}
		fmt.Fprintf(&text, "# %s\n%s", command, bridgeMAC.ReplaceAllString(passing.ReplaceAllString(out, ""), "$1"))
	}
	rules, err := h.Exec(ctx, "nft", "--stateless", "list", "ruleset")
	if err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	fmt.Fprintf(&text, "# rules\n%s# sysctls\n", sortChains(rules))
	if err := h.do(func() error { return writeSysctls(&text) }); err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	return text.String(), nil
}

// sortChains sorts the chains and sets of a ruleset: Docker makes its own anew
// when it starts, each time in another order. The rules of a chain stay in theirs.
func sortChains(ruleset string) string {
	var blocks []string
	var table, block string
	for line := range strings.Lines(ruleset) {
		switch {
		case strings.HasPrefix(line, "table "):
			table = line
			blocks = append(blocks, line)
		case line == "\n", line == "}\n":
		case line == "\t}\n":
			blocks = append(blocks, table+block+line)
			block = ""
		default:
			block += line
		}
	}
	slices.Sort(blocks)
	return strings.Join(blocks, "")
}

// writeSysctls writes the sysctls of the calling thread's network namespace.
func writeSysctls(w *strings.Builder) error {
	const root = "/proc/sys/net"
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil // A link that went meanwhile.
		case err != nil:
			return err
		case d.IsDir():
			return nil
		}
		value, err := os.ReadFile(path)
		if err != nil || counts(d.Name()) {
			return nil //nolint:nilerr // Some can only be written, some have no value yet.
		}
		fmt.Fprintf(w, "%s = %s\n", strings.TrimPrefix(path, root+"/"), strings.TrimSpace(string(value)))
		return nil
	})
}

// counts tells the sysctls that measure rather than set.
func counts(name string) bool {
	return name == "nf_conntrack_count" || strings.HasPrefix(name, "tcp_fastopen_key")
}
