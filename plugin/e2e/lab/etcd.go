package lab

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
)

// StartEtcd starts an etcd of one member on a node, for clients of the LAN.
// Its question is a path, such as /health.
func (n *Node) StartEtcd(ctx context.Context, client netip.AddrPort) (*Service, error) {
	s, err := n.newService("")
	if err != nil {
		return nil, err
	}
	url, peer := "http://"+client.String(), fmt.Sprintf("http://127.0.0.1:%d", client.Port()+1)
	s.daemons = [][]string{{
		"etcd", "--name=one", "--data-dir=" + filepath.Join(s.dir, "data"), "--logger=zap", "--log-level=error",
		"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=one=" + peer,
	}}
	s.ready = "/health"
	s.ask = func(ctx context.Context, path string) (string, error) { return n.Get(ctx, client, path) }
	return s, s.Start(ctx)
}
