package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Ping sends one ICMP echo request from the node and returns the time to its
// answer. It does not repeat the request, so the time holds all that the
// address costs to resolve. Unlike ping(8) it never confirms a neighbor.
func (n *Node) Ping(ctx context.Context, dst netip.Addr, timeout time.Duration) (time.Duration, error) {
	network, echo, reply := "ip6:ipv6-icmp", byte(128), byte(129)
	if dst.Is4() {
		network, echo, reply = "ip4:icmp", 8, 0
	}
	var conn net.PacketConn
	err := n.do(func() (err error) {
		conn, err = new(net.ListenConfig).ListenPacket(ctx, network, "")
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ping %s: %w", dst, err)
	}
	defer conn.Close()
	request := make([]byte, 24)
	request[0] = echo
	if _, err := rand.Read(request[4:]); err != nil {
		return 0, fmt.Errorf("ping %s: %w", dst, err)
	}
	binary.BigEndian.PutUint16(request[2:], checksum(request)) // The kernel writes that of ICMPv6.
	start := time.Now()
	if err := conn.SetDeadline(start.Add(timeout)); err != nil {
		return 0, fmt.Errorf("ping %s: %w", dst, err)
	}
	if _, err := conn.WriteTo(request, &net.IPAddr{IP: dst.AsSlice(), Zone: dst.Zone()}); err != nil {
		return 0, fmt.Errorf("ping %s from %s: %w", dst, n.Name, err)
	}
	answer := make([]byte, 1500)
	for {
		size, _, err := conn.ReadFrom(answer)
		if err != nil {
			return 0, fmt.Errorf("ping %s from %s: no answer in %s: %w", dst, n.Name, timeout, err)
		}
		if size == len(request) && answer[0] == reply && bytes.Equal(answer[4:size], request[4:]) {
			return time.Since(start), nil
		}
	}
}

// checksum is the Internet checksum of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// Get fetches path from a web server and returns the text. Each call is a new
// connection. A server that does not listen yet is given five seconds.
func (n *Node) Get(ctx context.Context, server netip.AddrPort, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = n.do(func() (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				// docker run returns before the server listens.
				for errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil {
					time.Sleep(10 * time.Millisecond)
					conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				}
				return err
			})
			return conn, err
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.String()+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("get %s from %s: %w", path, server, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", fmt.Errorf("from %s: %w", n.Name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(resp.Status))
	}
	if err != nil {
		return "", fmt.Errorf("get %s from %s: %w", path, server, err)
	}
	return strings.TrimSpace(string(body)), nil
}
