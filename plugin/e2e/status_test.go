package e2e_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver"
)

// statusShown wants what `ndp6 status` says of a container to be what Docker
// and its user know of it.
func statusShown(b *bed) {
	b.network("shop_front", "--subnet", pool)
	start := time.Now().Truncate(time.Second)
	c := b.web("shop_www_1", "shop_front", "-p", "8080:80")
	s := b.status()
	if len(s.Networks) != 1 || len(s.Endpoints) != 1 {
		b.Fatalf("status: %+v", s)
	}
	n, e := s.Networks[0], s.Endpoints[0]
	if n.Name != "shop_front" || n.ProxyEntries != 1 {
		b.Errorf("network %q with %d proxy entries, want shop_front with 1", n.Name, n.ProxyEntries)
	}
	if e.Name != c.name || e.State != driver.Running || e.JoinedAt.Before(start) || e.JoinedAt.After(time.Now()) {
		b.Errorf("container %q, %s since %s, want %s, running since %s or later", e.Name, e.State, e.JoinedAt, c.name, start)
	}
	const command = "/run/ndp6-lab/bin/ndp6 status"
	svg := b.run(command + " --graph svg")
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		b.ok(err)
	}
	for _, part := range []string{"shop_front", c.name, c.addr.String(), "8080→80/tcp", "eth0"} {
		if !strings.Contains(svg, part) {
			b.Errorf("the picture has no %q:\n%s", part, svg)
		}
	}

	// Docker need not be asked, and nothing waits for it.
	text := b.run(command + " --docker-socket none")
	if !strings.Contains(text, c.addr.String()) || strings.Contains(text, c.name) {
		b.Errorf("without Docker's names:\n%s", text)
	}

	b.docker("stop", c.name)
	if got := b.status().Endpoints; len(got) != 0 {
		b.Errorf("endpoints of a container that was stopped: %+v", got)
	}
}
