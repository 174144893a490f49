package publish_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/driver/publish"
)

var byValue = cmpopts.EquateComparable(netip.Addr{})

// TestParse reads what Docker sends, and what it should not.
func TestParse(t *testing.T) {
	tests := []struct {
		name string
		json string
		want []string
		err  string
	}{
		{name: "nothing", json: `{}`},
		{name: "null", json: `{"com.docker.network.portmap":null}`},
		{name: "no ports", json: `{"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}],"com.docker.network.portmap":[]}`},
		{
			name: "as Docker 29 sends it",
			json: `{"com.docker.network.portmap":[{"Proto":6,"IP":"","Port":9001,"HostIP":"","HostPort":9001,"HostPortEnd":9001},` +
				`{"Proto":6,"IP":"","Port":9000,"HostIP":"","HostPort":9000,"HostPortEnd":9000},` +
				`{"Proto":6,"IP":"","Port":82,"HostIP":"127.0.0.1","HostPort":0,"HostPortEnd":0},` +
				`{"Proto":17,"IP":"","Port":81,"HostIP":"::1","HostPort":8081,"HostPortEnd":8081},` +
				`{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}]}`,
			want: []string{"8080:80/tcp", "9000:9000/tcp", "9001:9001/tcp", "[::1]:8081:81/udp", "127.0.0.1::82/tcp"},
		},
		{
			name: "-P",
			json: portmap(`{"Proto":6,"IP":"","Port":90,"HostIP":"","HostPort":0,"HostPortEnd":0},{"Proto":17,"IP":"","Port":91,"HostIP":"","HostPort":0,"HostPortEnd":0}`),
			want: []string{"90/tcp", "91/udp"},
		},
		{
			name: "those that may have any port come last",
			json: portmap(`{"Proto":6,"Port":1},{"Proto":132,"Port":2,"HostPort":8000,"HostPortEnd":8010},{"Proto":6,"Port":3,"HostPort":8001,"HostPortEnd":8001}`),
			want: []string{"8001:3/tcp", "8000-8010:2/sctp", "1/tcp"},
		},
		{name: "twice", json: portmap(`{"Proto":6,"Port":80,"HostPort":80},{"Proto":6,"Port":80,"HostPort":80,"HostPortEnd":80}`), want: []string{"80:80/tcp"}},
		{name: "mapped address", json: portmap(`{"Proto":6,"Port":80,"HostIP":"::ffff:192.0.2.1","HostPort":80}`), want: []string{"192.0.2.1:80:80/tcp"}},
		{name: "field of a new Docker", json: portmap(`{"Proto":6,"Port":80,"HostPort":80,"New":{}}`), want: []string{"80:80/tcp"}},
		{name: "no list", json: `{"com.docker.network.portmap":"80"}`, err: "option com.docker.network.portmap is a string, use a list of objects with Proto, Port, HostIP and HostPort"},
		{name: "no object", json: portmap(`80`), err: "option com.docker.network.portmap, entry 0: it is a number, use an object with Proto, Port, HostIP and HostPort"},
		{name: "no protocol", json: portmap(`{"Port":80}`), err: `option com.docker.network.portmap, entry 0: the value "<nil>" of Proto is not right, use a number from 1 to 255`},
		{name: "ICMP", json: portmap(`{"Proto":1,"Port":80}`), err: "option com.docker.network.portmap, entry 0: the value 1 of Proto has no ports, use 6 (tcp), 17 (udp) or 132 (sctp)"},
		{name: "protocol by name", json: portmap(`{"Proto":"tcp","Port":80}`), err: `option com.docker.network.portmap, entry 0: the value "tcp" of Proto is not right, use a number from 1 to 255`},
		{name: "port 0", json: portmap(`{"Proto":6,"Port":80},{"Proto":6,"Port":0}`), err: `option com.docker.network.portmap, entry 1: the value "0" of Port is not right, use a number from 1 to 65535`},
		{name: "large port", json: portmap(`{"Proto":6,"Port":65536}`), err: `option com.docker.network.portmap, entry 0: the value "65536" of Port is not right, use a number from 1 to 65535`},
		{name: "part of a port", json: portmap(`{"Proto":6,"Port":80,"HostPort":80.5}`), err: `option com.docker.network.portmap, entry 0: the value "80.5" of HostPort is not right, use a number from 0 to 65535`},
		{name: "range backwards", json: portmap(`{"Proto":6,"Port":80,"HostPort":81,"HostPortEnd":80}`), err: "option com.docker.network.portmap, entry 0: the value 80 of HostPortEnd ends no range that starts at HostPort 81, use 81 or more, or 0 for both"},
		{name: "range from nowhere", json: portmap(`{"Proto":6,"Port":80,"HostPortEnd":80}`), err: "option com.docker.network.portmap, entry 0: the value 80 of HostPortEnd ends no range that starts at HostPort 0, use 0 or more, or 0 for both"},
		{name: "address", json: portmap(`{"Proto":6,"Port":80,"HostIP":"host"}`), err: badAddr("host")},
		{name: "link-local address", json: portmap(`{"Proto":6,"Port":80,"HostIP":"fe80::1"}`), err: badAddr("fe80::1")},
		{name: "zone", json: portmap(`{"Proto":6,"Port":80,"HostIP":"2001:db8::1%eth0"}`), err: badAddr("2001:db8::1%eth0")},
		{name: "group", json: portmap(`{"Proto":6,"Port":80,"HostIP":"ff02::1"}`), err: badAddr("ff02::1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mappings, err := publish.Parse(options(t, tt.json))
			text := ""
			if err != nil {
				text = err.Error()
			}
			var have []string
			for _, m := range mappings {
				have = append(have, m.String())
			}
			if diff := cmp.Diff(tt.want, have) + cmp.Diff(tt.err, text); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func portmap(entries string) string {
	return fmt.Sprintf(`{"com.docker.network.portmap":[%s]}`, entries)
}

func badAddr(value string) string {
	return fmt.Sprintf("option com.docker.network.portmap, entry 0: the value %q of HostIP is not right, use an address of the host "+
		"that is not link-local, :: or 0.0.0.0 for all of a family, or none", value)
}

func options(tb testing.TB, text string) (o map[string]any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		tb.Fatal(err)
	}
	return o
}

// FuzzParse: what is accepted can be published, whatever was sent.
func FuzzParse(f *testing.F) {
	f.Add(`{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}`)
	f.Add(`{"Proto":17,"Port":81,"HostIP":"::1","HostPort":8081,"HostPortEnd":8081},{"Proto":6,"Port":82,"HostIP":"127.0.0.1"}`)
	f.Add(`{"Proto":132,"Port":65535,"HostIP":"0.0.0.0","HostPort":1,"HostPortEnd":65535}`)
	f.Add(`{"Proto":6,"Port":80},{"Proto":6,"Port":80,"HostIP":"::"},{"Proto":6,"Port":80,"HostIP":"192.0.2.1"}`)
	f.Add(`{"Proto":-6,"Port":1e400}`)
	f.Add(`null,[],"",{"Proto":6,"Port":"80"}`)
	f.Fuzz(func(t *testing.T, entries string) {
		var o map[string]any
		if json.Unmarshal([]byte(portmap(entries)), &o) != nil {
			return
		}
		mappings, err := publish.Parse(o)
		if err != nil {
			if mappings != nil {
				t.Errorf("error %v with %v", err, mappings)
			}
			return
		}
		again, err := publish.Parse(map[string]any{publish.PortMap: entriesOf(mappings)})
		if diff := cmp.Diff(mappings, again, byValue, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		addrs := []netip.Addr{netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("192.0.2.10")}
		bindings, left := publish.Decide(addrs, mappings, publish.Options{})
		if len(mappings) > 0 && len(bindings)+len(left) == 0 {
			t.Errorf("%v come to nothing", mappings)
		}
		for _, b := range bindings {
			if b.Port == 0 || b.First > b.Last || (b.First == 0) != (b.Last == 0) || len(b.HostAddrs) == 0 && !b.Direct {
				t.Errorf("%+v", b)
			}
		}
	})
}

// entriesOf is what Docker would send for mappings.
func entriesOf(mappings []publish.Mapping) []any {
	list := []any{}
	for _, m := range mappings {
		host := ""
		if m.HostAddr.IsValid() {
			host = m.HostAddr.String()
		}
		list = append(list, map[string]any{
			"Proto": float64(m.Proto), "Port": float64(m.Port), "HostIP": host,
			"HostPort": float64(m.HostPort), "HostPortEnd": float64(m.HostPortEnd),
		})
	}
	return list
}
