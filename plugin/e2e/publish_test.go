package e2e_test

import (
	"strings"
)

// served are the ports that the containers of these scenarios serve, published or not.
var served = []string{"80/tcp", "81/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "8003/tcp", "53/udp", "54/udp"}

// forms are the ways to publish a port: the container "c1" is asked for it from
// all sides. What no line names is not promised.
func forms() []struct{ name, args, want string } {
	return []struct{ name, args, want string }{
		{"host port and port", "-p 8080:80", `
			outside c1:80 open
			outside host:8080 open
			outside host2:8080 open
			outside host.4:8080 open
			neighbor host:8080 open
			neighbor c1:80 open
			outside c1:8080 silent
			outside c1:81 silent
			outside c1:54/udp silent
			outside host:80 refused
			outside host.4:80 refused
			host host:8080 served
			host host.4:8080 served
			host loopback:8080 served
			host loopback.4:8080 served
			host c1:80 served
			host c1.4:80 served
			host c1:81 served
			mate c1:80 open
			mate c1:81 open
			mate host:8080 served
			mate host.4:8080 served
			c1 host:8080 served
			c1 host.4:8080 served
			cousin c1:80 open
			cousin c1:81 silent
			cousin host:8080 served
			cousin host.4:8080 served
		`},
		{"loopback", "-p [::1]:8080:80", `
			host loopback:8080 served
			host loopback.4:8080 refused
			host host:8080 refused
			outside host:8080 refused
			outside host.4:8080 refused
			outside c1:80 silent
			mate host:8080 refused
			mate c1:80 open
		`},
		{"IPv4 loopback", "-p 127.0.0.1:8080:80", `
			host loopback.4:8080 served
			host loopback:8080 refused
			host host.4:8080 refused
			outside host.4:8080 refused
			outside host:8080 refused
			outside c1:80 silent
		`},
		{"one address", "-p [2001:db8:1::aa]:8080:80", `
			outside host2:8080 open
			outside host:8080 refused
			outside host.4:8080 refused
			outside c1:80 silent
			host host2:8080 served
			host loopback:8080 refused
			mate host2:8080 served
		`},
		{"one IPv4 address", "-p 192.0.2.100:8080:80", `
			outside host2.4:8080 open
			outside host.4:8080 refused
			outside host:8080 refused
			outside c1:80 silent
			host host2.4:8080 served
			mate host2.4:8080 served
		`},
		{"all IPv4 addresses", "-p 0.0.0.0:8080:80", `
			outside host.4:8080 open
			outside host2.4:8080 open
			outside host:8080 refused
			outside c1:80 silent
			host loopback.4:8080 served
			host loopback:8080 refused
		`},
		{"range", "-p 9000-9002:8000-8002", `
			outside c1:8000 open
			outside c1:8001 open
			outside c1:8002 open
			outside c1:8003 silent
			outside host:9000 open
			outside host:9002 open
			outside host.4:9001 open
			outside host:9003 refused
			host loopback:9001 served
		`},
		{"udp", "-p 5353:53/udp", `
			outside c1:53/udp open
			outside host:5353/udp open
			outside host.4:5353/udp open
			outside c1:54/udp silent
			outside c1:5353/udp silent
			outside c1:80 silent
			host loopback:5353/udp served
			host loopback.4:5353/udp served
			mate host:5353/udp served
			mate c1:54/udp open
		`},
		{"two protocols", "-p 8080:80 -p 8080:53/udp", `
			outside c1:80 open
			outside c1:53/udp open
			outside host:8080 open
			outside host:8080/udp open
			outside c1:81 silent
		`},
		{"all exposed", "-P --expose 80 --expose 53/udp --expose 8000-8001", `
			outside c1:80 open
			outside c1:8000 open
			outside c1:8001 open
			outside c1:53/udp open
			outside c1:8002 silent
			outside c1:54/udp silent
		`},
		{"exposed alone", "--expose 80", `
			outside c1:80 silent
			mate c1:80 open
		`},
	}
}

// publishing tries each form of -p. After the container is gone, its host port
// is free.
func publishing(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80")
	p := b.newPlaces()
	p.start("mate", "n", nil)
	p.start("cousin", "m", nil)
	for _, f := range forms() {
		args := strings.Fields(f.args)
		p.start("c1", "n", served, args...)
		p.want(f.name+" ("+f.args+")", f.want)
		b.docker("rm", "-f", "c1")
		// Docker's own proxies bind so: at once, to all addresses.
		again := p.serve("host", "8080/tcp", "9001/tcp", "5353/udp")
		p.want(f.name+": after the container went", "outside host:8080 open\noutside host.4:9001 open\noutside host:5353/udp open")
		b.ok(again.Close())
	}
}
