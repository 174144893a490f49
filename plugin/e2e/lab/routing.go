package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Where Debian has the daemons of FRR, outside of every PATH.
const frrDir = "/usr/lib/frr"

// StartBIRD starts BIRD 2 with a configuration in the network of the node.
func (n *Node) StartBIRD(ctx context.Context, config string) (*Service, error) {
	r, err := n.newService(config)
	if err != nil {
		return nil, err
	}
	control := filepath.Join(r.dir, "bird.ctl")
	// -R: what a killed one left in the kernel and with its peers is taken over.
	r.daemons = [][]string{{"bird", "-f", "-R", "-c", filepath.Join(r.dir, "config"), "-s", control, "-P", filepath.Join(r.dir, "bird.pid")}}
	r.ready = "show status"
	r.ask = func(ctx context.Context, question string) (string, error) {
		return r.node.Exec(ctx, append([]string{"birdc", "-s", control}, strings.Fields(question)...)...)
	}
	return r, r.Start(ctx)
}

// StartFRR starts FRR's zebra, bfdd and bgpd, the last with a configuration, in
// the network of the node.
func (n *Node) StartFRR(ctx context.Context, config string) (*Service, error) {
	r, err := n.newService(config)
	if err != nil {
		return nil, err
	}
	// The daemons give up root, and their sockets are for those who may ask.
	if _, err := n.network().Exec(ctx, "chown", "-R", "frr:frrvty", r.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	for _, name := range []string{"zebra", "bfdd", "bgpd"} {
		r.daemons = append(r.daemons, []string{
			filepath.Join(frrDir, name), "-u", "frr", "-g", "frr", "-A", "::1", "-P", "0", "--log", "stdout",
			"--vty_socket", r.dir, "-z", filepath.Join(r.dir, "zserv.api"), "-i", filepath.Join(r.dir, name+".pid"),
		})
	}
	r.daemons[0] = append(r.daemons[0], "-K", "120")
	r.daemons[2] = append(r.daemons[2], "-f", filepath.Join(r.dir, "config"))
	r.ready = "show bgp ipv6 summary"
	r.ask = func(ctx context.Context, question string) (string, error) {
		return r.node.Exec(ctx, "vtysh", "--vty_socket", r.dir, "-c", question)
	}
	return r, r.Start(ctx)
}
