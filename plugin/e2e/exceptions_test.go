package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An exception is a block that is not run as it stands.
type exception struct {
	why string
	// check is what is looked at instead, everywhere and without root.
	check func(*testing.T, block) error
	// shows, if any, are commands for a lab host: what the last one prints has
	// the shape of the block, but for its prompt.
	shows string
}

// example is what the documents' pictures of a host show.
const example = `docker network create -d ndp6 --ipam-driver ndp6 --ipv6 web
docker run -d --network web --name www -p 8080:80 nginx
`

// exceptions are the blocks that are not run as they stand, by document and
// first line.
func exceptions() map[string]map[string]exception {
	return map[string]map[string]exception{
		"README.md": {
			"make demo     # a private LAN, router and host on this machine: create, run, ping, HTTP, clean up": {
				why: "it makes a lab of its own", check: makes,
			},
			"router                     Docker host                              container": {why: "a picture", check: picture},
			"make install        # builds, then: docker plugin create ndp6-net, docker plugin enable ndp6-net": {
				why: "the scenario of the managed plugin does it", check: makes,
			},
			"# ndp6 status": {why: "it shows another host than the compose file makes", check: picture, shows: example + "ndp6 status"},
			"make deb":      {why: "the scenario of the service does it", check: makes},
		},
		"docs/service.md": {
			"make deb                                  # build/ndp6_VERSION_ARCH.deb; GOARCH=arm64 for another machine": {
				why: "the scenario of the service does it", check: makes,
			},
			"[Service]": {why: "a drop-in, which the scenario of the service has", check: picture},
		},
		"docs/managed-plugin.md": {
			"make install        # docker plugin create, enable": {why: "the scenario of the managed plugin does it", check: makes},
			"install -d -m 0700 /var/lib/ndp6":                   {why: "the scenario of the registry does it", check: syntax},
			"docker build -t ndp6-rootfs .":                      {why: "the scenario of the Dockerfile does it", check: syntax},
			"docker plugin disable -f ndp6-net":                  {why: "the scenario of the registry does it", check: syntax},
		},
		"docs/swarm.md": {
			swarmPart:   {why: "TestSwarm does it", check: syntax},
			swarmWhole:  {why: "TestSwarm does it", check: syntax},
			swarmScope:  {why: "TestSwarm does it", check: syntax},
			swarmGlobal: {why: "TestSwarm does it", check: syntax},
			"docker service create --name www --replicas 4 --endpoint-mode dnsrr --network web nginx": {
				why: "TestSwarm does it, with flags that make it faster", check: syntax,
			},
			"docker node update --availability drain node2": {why: "TestSwarm does it, and nodes have other names", check: syntax},
		},
		"docs/doctor.md": {
			"ndp6 doctor [--json] [--no-probe] [SETTINGS]": {why: "a synopsis", check: syntax},
			"# ndp6 doctor": {why: "it shows a broken host", check: syntax},
			"# ndp6 doctor trace [2001:db8:1:0:a:242:ac11:2]:22": {why: "it shows an address of another host", check: picture},
		},
		"docs/metrics.md": {
			"curl --unix-socket /var/lib/ndp6/admin.sock http://ndp6/metrics": {why: "the roots have no curl", check: syntax},
			"docker plugin disable ndp6-net":                                  {why: "there is no managed plugin beside the service", check: syntax},
			"scrape_configs:":                                                 {why: "a part of Prometheus's file, whose own test has one", check: picture},
		},
		"docs/routed.md": {
			"# BIRD 2 on a Docker host, /etc/bird/bird.conf: announces what ndp6 has been told to": {
				why: "the scenarios of routed hosts run it", check: sameAs("docs/routing/bird.conf"),
			},
			"! FRR on a Docker host, /etc/frr/frr.conf, with bgpd=yes in /etc/frr/daemons: announces what": {
				why: "the scenarios of routed hosts run it", check: sameAs("docs/routing/frr.conf"),
			},
			birdBFD: {why: "a part of a file, which TestLimits has BIRD run", check: picture},
			frrBFD:  {why: "a part of a file, which TestRouted has FRR run", check: picture},
		},
		"docs/clusters.md": {
			"NDP6_ETCD=https://192.0.2.1:2379,https://192.0.2.2:2379,https://192.0.2.3:2379": {why: "a part of a file", check: picture},
			"docker network create -d ndp6 --ipam-driver ndp6 --ipv6 --ipam-opt ndp6.base=2001:db8::/64 web": {
				why: "the lab's plugin has no etcd; the test of clusters asks for the same", check: syntax,
			},
			"$ ip -6 route show proto 167": {why: "it shows one of three hosts", check: syntax},
			"# ndp6 peers":                 {why: "it shows one of three hosts", check: syntax},
			"# ndp6 claims --reap host7":   {why: "it shows one of three hosts", check: syntax},
			"etcdctl role add ndp6":        {why: "the lab has no etcd; the test of its client does the same", check: syntax},
		},
		"docs/comparison.md": {"make bench": {why: "it measures for long, and is no scenario", check: makes}},
		"docs/migration.md":  {"systemctl restart ndppd": {why: "the roots have no ndppd", check: syntax}},
		"docs/firewall.md": {
			"firewall-cmd --permanent --new-zone=ndp6 && firewall-cmd --permanent --zone=ndp6 --set-target=ACCEPT": {
				why: "the scenario of firewalld has one", check: syntax,
			},
		},
		"docs/status.md": {
			"ndp6 status [--watch[=PERIOD]] [--json | --graph svg|mermaid] [--from FILE] [--state-dir DIR] [--docker-socket PATH]": {why: "a synopsis", check: syntax},
			"network web (4f1c2a9b7d30)  bridge nd-4f1c2a9b7d30  uplink eth0": {
				why: "an output", check: picture, shows: example + "ndp6 status",
			},
			"ndp6 status --json | jq -e '.problems == [] and .warnings == [] and .drift == [] and all(.endpoints[]; .withdrawn == []) and .cluster.trouble == null'": {
				why: "the roots have no jq", check: syntax,
			},
			"docker plugin disable ndp6-net": {why: "there is no managed plugin beside the service", check: syntax},
			"Error response from daemon: endpoint with name c1 already exists in network n": {
				why: "a message of Docker's", check: picture,
			},
			`level=INFO msg="host changed" op="add neigh proxy 2001:db8:1:0:a:242:ac11:2 dev eth0" owner=9a6c1f20b5e1... request=17`: {
				why: "lines of a log", check: picture,
			},
			"docker rm -f c1": {why: "it mends what has to be broken first", check: syntax},
		},
	}
}

// syntax has a shell read the block.
func syntax(t *testing.T, b block) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-n")
	cmd.Stdin = strings.NewReader(b.text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bash -n: %w: %s", err, out)
	}
	return nil
}

// makes wants the targets of the Makefile that the block makes, at least one.
func makes(t *testing.T, b block) error {
	t.Helper()
	made := 0
	for line := range strings.SplitSeq(b.text, "\n") {
		command, _, _ := strings.Cut(line, "#")
		words := strings.Fields(command)
		if len(words) < 2 || words[0] != "make" {
			continue
		}
		if err := dryRun(t.Context(), words[1:]); err != nil {
			return err
		}
		made++
	}
	if made == 0 {
		return errors.New("it makes nothing")
	}
	return syntax(t, b)
}

func dryRun(ctx context.Context, targets []string) error {
	cmd := exec.CommandContext(ctx, "make", append([]string{"-C", "../..", "-n"}, targets...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make -n %s: %w: %s", strings.Join(targets, " "), err, out)
	}
	return nil
}

// sameAs wants the block to be a file of the repository, which tests use.
func sameAs(file string) func(*testing.T, block) error {
	return func(t *testing.T, b block) error {
		t.Helper()
		if diff := cmp.Diff(strings.TrimSpace(readDocument(t, file)), strings.TrimSpace(b.text)); diff != "" {
			return fmt.Errorf("it differs from %s (-file +block):\n%s", file, diff)
		}
		return nil
	}
}

// picture wants nothing in the block that looks like a command.
func picture(_ *testing.T, b block) error {
	for line := range strings.SplitSeq(b.text, "\n") {
		if isRunnable(line) {
			return errors.New("there is a command in it: " + line)
		}
	}
	return nil
}
