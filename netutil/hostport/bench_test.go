package hostport_test

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/netutil/hostport"
)

// BenchmarkTCP compares bytes through the relay with bytes to the container
// itself, and a connection through the relay with one to the container.
func BenchmarkTCP(b *testing.B) {
	for _, way := range []string{"direct", "relay"} {
		b.Run(way, func(b *testing.B) {
			at := lay(b, way, func(c *net.TCPConn) {
				_, _ = io.Copy(io.Discard, c)
			})
			c := dialTo(b, at)
			defer c.Close()
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				if _, err := c.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTCPRequest measures one byte there and one back.
func BenchmarkTCPRequest(b *testing.B) {
	for _, way := range []string{"direct", "relay"} {
		b.Run(way, func(b *testing.B) {
			at := lay(b, way, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
			c := dialTo(b, at)
			defer c.Close()
			one := make([]byte, 1)
			for b.Loop() {
				if _, err := c.Write(one); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, one); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReserve measures the part of publishing on the path of docker run.
func BenchmarkReserve(b *testing.B) {
	l := newLab(b, hostport.Limits{})
	for b.Loop() {
		ports, err := l.host.Reserve(hostport.TCP, []netip.Addr{any6, any4}, 8080, 8080)
		if err != nil {
			b.Fatal(err)
		}
		closeAll(b, ports)
	}
}

// lay starts a server in a container and returns where to reach it.
func lay(b *testing.B, way string, handle func(*net.TCPConn)) netip.AddrPort {
	b.Helper()
	l := newLab(b, hostport.Limits{})
	l.listen(b, l.port6, handle)
	if way == "direct" {
		return l.port6
	}
	serve(b, l.port6, reserve(b, l.host, hostport.TCP, 8080, any6)...)
	return netip.AddrPortFrom(loop6, 8080)
}

func dialTo(b *testing.B, at netip.AddrPort) net.Conn {
	b.Helper()
	c, err := net.DialTimeout("tcp", at.String(), wait)
	if err != nil {
		b.Fatal(err)
	}
	return c
}
