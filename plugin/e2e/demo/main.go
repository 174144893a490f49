// Command demo shows ndp6's main job on a private LAN with the Docker engine of
// this machine, and leaves nothing behind. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

func main() {
	binary := flag.String("binary", "bin/ndp6", "the plugin, as make build makes it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := show(ctx, os.Stdout, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

const intro = `A private LAN on this machine; its network and its Docker stay as they are.

    outside 2001:db8:2::2 --- router fe80::1 --- LAN 2001:db8:1::/64 --- Docker host 2001:db8:1::a`

const network = "docker network create -d ndp6 --ipam-driver ndp6 --ipv6 --subnet 2001:db8:1:0:a::/80 web"

// show makes a network and a container and reaches it from the router and from outside.
func show(ctx context.Context, w io.Writer, binary string) (err error) {
	fmt.Fprintf(w, "%s\n\n", intro)
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	h, err := l.AddHost(ctx, 10, "")
	if err != nil {
		return err
	}
	if err := h.StartPlugin(ctx, binary); err != nil {
		return err
	}
	if err := h.StartEngine(ctx); err != nil {
		return err
	}
	d := &demo{w: w, host: h}
	if err := d.tour(ctx, l); err != nil {
		return fmt.Errorf("%w\nthe plugin's log:\n%s", err, h.PluginLog(20))
	}
	fmt.Fprintln(w, "\nDone. Everything is removed again; `make install` puts ndp6 on this machine's own Docker.")
	return nil
}

// demo prints what it does.
type demo struct {
	w    io.Writer
	host *lab.Host
}

func (d *demo) tour(ctx context.Context, l *lab.Lab) error {
	if err := d.run(ctx, "docker version --format {{.Server.Version}}"); err != nil {
		return err
	}
	if err := d.run(ctx, network); err != nil {
		return err
	}
	if err := d.run(ctx, "docker run -d --name www --network web -p 8080:80 --stop-signal KILL busybox httpd -f -h /etc"); err != nil {
		return err
	}
	id, addr, err := d.inspect(ctx, "www")
	if err != nil {
		return err
	}
	for _, from := range []*lab.Node{l.Router, l.Outside} {
		took, err := from.Ping(ctx, addr, 3*time.Second)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.w, "%-8s ping %s: answered after %s\n", from.Name+":", addr, took.Round(10*time.Microsecond))
		for _, at := range []netip.AddrPort{netip.AddrPortFrom(addr, 80), netip.AddrPortFrom(lab.HostAddr(d.host.Number), 8080)} {
			body, err := from.Get(ctx, at, "/hostname")
			if err != nil {
				return err
			}
			if !strings.HasPrefix(id, body) {
				return fmt.Errorf("the web server at %s calls itself %q, want %.12s", at, body, id)
			}
			fmt.Fprintf(d.w, "%-8s GET http://%s/hostname: %s\n", from.Name+":", at, body)
		}
	}
	if err := d.closed(ctx, l.Outside); err != nil {
		return err
	}
	fmt.Fprintln(d.w)
	for _, command := range []string{
		"docker exec www ping -6 -c 1 " + lab.Outside,
		"docker rm -f www closed",
		"docker network rm web",
	} {
		if err := d.run(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// inspect returns a container's id and address.
func (d *demo) inspect(ctx context.Context, name string) (id string, addr netip.Addr, err error) {
	out, err := d.host.Docker(ctx, "inspect", "-f",
		"{{.Id}} {{.NetworkSettings.Networks.web.GlobalIPv6Address}} {{.NetworkSettings.Networks.web.MacAddress}}", name)
	if err != nil {
		return "", netip.Addr{}, err
	}
	var text, mac string
	if _, err := fmt.Sscan(out, &id, &text, &mac); err != nil {
		return "", netip.Addr{}, fmt.Errorf("read inspect's %q: %w", out, err)
	}
	if addr, err = netip.ParseAddr(text); err != nil {
		return "", netip.Addr{}, fmt.Errorf("address of the container: %w", err)
	}
	fmt.Fprintf(d.w, "\nThe container's address is %s: the pool and the MAC %s.\n\n", addr, mac)
	return id, addr, nil
}

// closed shows that what is not published stays closed.
func (d *demo) closed(ctx context.Context, from *lab.Node) error {
	fmt.Fprintln(d.w)
	if err := d.run(ctx, "docker run -d --name closed --network web --stop-signal KILL busybox httpd -f -h /etc"); err != nil {
		return err
	}
	_, addr, err := d.inspect(ctx, "closed")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	at := netip.AddrPortFrom(addr, 80)
	if body, err := from.Get(ctx, at, "/hostname"); err == nil {
		return fmt.Errorf("port 80 of %s is not published and answers %q", addr, body)
	}
	fmt.Fprintf(d.w, "%-8s GET http://%s/hostname: no answer, as no port is published\n", from.Name+":", at)
	return nil
}

// run runs a command on the host and prints it with its output.
func (d *demo) run(ctx context.Context, command string) error {
	fmt.Fprintln(d.w, "$", command)
	out, err := d.host.Exec(ctx, strings.Fields(command)...)
	for line := range strings.Lines(strings.TrimSpace(out)) {
		fmt.Fprintln(d.w, " ", strings.TrimSpace(line))
	}
	return err
}
