// Package engine asks Docker's Engine API what the daemon has.
//
// It must not be asked from within a call that the daemon waits for, and it
// only asks for networks: an inspection of a container that is being started
// waits for the plugin's own answers.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"syscall"
	"time"
)

var (
	// ErrAbsent is wrapped by errors that say that no daemon listens on the socket.
	ErrAbsent = errors.New("no Docker daemon listens")
	// ErrNotFound is wrapped by the error for a network that the daemon does not have.
	ErrNotFound = errors.New("not found")
)

const (
	// timeout is how long one question may take.
	timeout = 10 * time.Second
	// maxAnswer is more than a daemon with 10,000 containers answers.
	maxAnswer = 64 << 20
)

// A Client asks one daemon. It keeps no connection. Make it with New.
type Client struct {
	socket string
	http   http.Client
}

// New returns a client of the daemon that listens on a unix socket.
func New(socket string) *Client {
	c := &Client{socket: socket}
	c.http = http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: c.dial, DisableKeepAlives: true},
	}
	return c
}

// A Daemon is who answers.
type Daemon struct {
	// ID stays the same for the life of the daemon's data.
	ID string
	// Swarm is set on a node of a swarm. It may know pools of networks that it
	// cannot list.
	Swarm bool
}

// Daemon returns who answers.
func (c *Client) Daemon(ctx context.Context) (Daemon, error) {
	var answer struct {
		ID    string
		Swarm struct{ LocalNodeState string }
	}
	if err := c.get(ctx, "/info", &answer); err != nil {
		return Daemon{}, err
	}
	if answer.ID == "" {
		return Daemon{}, c.wrap("/info", errors.New("the answer has no ID"))
	}
	state := answer.Swarm.LocalNodeState
	return Daemon{ID: answer.ID, Swarm: state != "" && state != "inactive"}, nil
}

// A Release is which Docker answers, and what it runs as.
type Release struct {
	// Version is such as 28.5.2, with what a distribution adds to it.
	Version string
	// Rootless is set where the daemon runs without root.
	Rootless bool
}

// Release returns which Docker answers.
func (c *Client) Release(ctx context.Context) (Release, error) {
	const path = "/info"
	var answer struct {
		ServerVersion   string
		SecurityOptions []string
	}
	if err := c.get(ctx, path, &answer); err != nil {
		return Release{}, err
	}
	if answer.ServerVersion == "" {
		return Release{}, c.wrap(path, errors.New("the answer has no ServerVersion"))
	}
	return Release{Version: answer.ServerVersion, Rootless: slices.Contains(answer.SecurityOptions, "name=rootless")}, nil
}

// A Network is one of the daemon's networks, of any driver.
type Network struct {
	ID, Name string
	// Local is set where all of the network's endpoints are on this host.
	Local bool
	// Pools are the network's prefixes.
	Pools []netip.Prefix
}

// Networks returns all networks of the daemon.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	const path = "/networks"
	var answer []struct {
		ID    string `json:"Id"`
		Name  string
		Scope string
		IPAM  struct{ Config []struct{ Subnet string } }
	}
	if err := c.get(ctx, path, &answer); err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, c.wrap(path, errors.New("the answer is no list"))
	}
	networks := make([]Network, 0, len(answer))
	for _, a := range answer {
		n := Network{ID: a.ID, Name: a.Name, Local: a.Scope == "local"}
		if n.ID == "" {
			return nil, c.wrap(path, errors.New("a network has no Id"))
		}
		for _, config := range a.IPAM.Config {
			if config.Subnet == "" {
				continue
			}
			p, err := netip.ParsePrefix(config.Subnet)
			if err != nil {
				return nil, c.wrap(path, fmt.Errorf("network %s: %w", n.ID, err))
			}
			n.Pools = append(n.Pools, p.Masked())
		}
		networks = append(networks, n)
	}
	return networks, nil
}

// An Endpoint is a container's attachment to a network.
type Endpoint struct {
	ID string
	// Name is that of the container.
	Name  string
	Addrs []netip.Addr
}

// Endpoints returns a network's endpoints on this host. Its error wraps
// ErrNotFound where the daemon has no such network.
func (c *Client) Endpoints(ctx context.Context, network string) ([]Endpoint, error) {
	path := "/networks/" + url.PathEscape(network)
	var answer struct {
		ID         string `json:"Id"`
		Containers map[string]struct{ EndpointID, Name, IPv4Address, IPv6Address string }
	}
	if err := c.get(ctx, path, &answer); err != nil {
		return nil, err
	}
	if answer.ID != network {
		return nil, c.wrap(path, fmt.Errorf("the answer is about network %q", answer.ID))
	}
	var endpoints []Endpoint
	for _, a := range answer.Containers {
		e := Endpoint{ID: a.EndpointID, Name: a.Name}
		for _, text := range []string{a.IPv6Address, a.IPv4Address} {
			if text == "" {
				continue
			}
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, c.wrap(path, fmt.Errorf("endpoint %s: %w", e.ID, err))
			}
			e.Addrs = append(e.Addrs, p.Addr())
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// get asks for path and decodes the answer.
func (c *Client) get(ctx context.Context, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, http.NoBody)
	if err != nil {
		return c.wrap(path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err // which wrap says in other words
		}
		return c.wrap(path, err)
	}
	defer resp.Body.Close()
	body := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		var failure struct{ Message string }
		_ = body.Decode(&failure) // The status says enough.
		err := fmt.Errorf("status %d: %s", resp.StatusCode, failure.Message)
		if resp.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w: %s", ErrNotFound, failure.Message)
		}
		return c.wrap(path, err)
	}
	if err := body.Decode(answer); err != nil {
		return c.wrap(path, fmt.Errorf("decode the answer: %w", err))
	}
	return nil
}

// dial connects to the daemon, with an error that tells whether there is one.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return conn, err
}

func (c *Client) wrap(path string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer in time: %w", err)
	}
	return fmt.Errorf("ask docker at %s for %s: %w", c.socket, path, err)
}
