package inet_test

import (
	"encoding/json"
	"testing"

	"github.com/ndp6/ndp6/netutil/inet"
)

func TestParseMAC(t *testing.T) {
	tests := []struct {
		name, text string
		want       inet.MAC
		err        string
	}{
		{name: "Docker's form", text: "02:42:ac:11:00:02", want: inet.MAC{0x02, 0x42, 0xac, 0x11, 0x00, 0x02}},
		{name: "upper case", text: "02:42:AC:11:00:02", want: inet.MAC{0x02, 0x42, 0xac, 0x11, 0x00, 0x02}},
		{name: "empty", err: `MAC "" is not six hexadecimal octets: use a form like 02:42:ac:11:00:02`},
		{name: "EUI-64", text: "02:42:ac:11:00:02:00:01", err: `MAC "02:42:ac:11:00:02:00:01" is not six hexadecimal octets: use a form like 02:42:ac:11:00:02`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := inet.ParseMAC(test.text)
			if message(err) != test.err || got != test.want {
				t.Errorf("ParseMAC = %s, %v, want %s, %s", got, err, test.want, test.err)
			}
		})
	}
}

func TestCheckHost(t *testing.T) {
	tests := []struct {
		name string
		mac  inet.MAC
		err  string
	}{
		{"unicast", inet.MAC{0x02, 0x42, 0, 0, 0, 1}, ""},
		{"zero", inet.MAC{}, "MAC 00:00:00:00:00:00 is all zero: use a unicast address such as 02:42:ac:11:00:02"},
		{"multicast", inet.MAC{0x33, 0x33, 0, 0, 0, 1}, "MAC 33:33:00:00:00:01 is a multicast address: clear the lowest bit of its first octet, as in 32:33:00:00:00:01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(test.mac.CheckHost()); got != test.err {
				t.Errorf("got error  %s\nwant error %s", got, test.err)
			}
		})
	}
}

func TestRandomMAC(t *testing.T) {
	for range 100 {
		m := inet.RandomMAC()
		if m[0]&0x03 != 0x02 || m.CheckHost() != nil {
			t.Fatalf("%s is not a locally administered unicast address", m)
		}
	}
}

func TestMACText(t *testing.T) {
	tests := []struct {
		name string
		mac  inet.MAC
		json string
	}{
		{"address", inet.MAC{0x02, 0x42, 0xac, 0x11, 0x00, 0x02}, `"02:42:ac:11:00:02"`},
		{"none", inet.MAC{}, `""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, err := json.Marshal(test.mac)
			if err != nil || string(b) != test.json {
				t.Fatalf("Marshal = %s, %v, want %s", b, err, test.json)
			}
			got := inet.MAC{1} // To be overwritten.
			if err := json.Unmarshal(b, &got); err != nil || got != test.mac {
				t.Errorf("Unmarshal = %s, %v, want %s", got, err, test.mac)
			}
		})
	}
	var m inet.MAC
	if err := json.Unmarshal([]byte(`"02:42"`), &m); err == nil {
		t.Error("a short MAC was taken")
	}
}

// message is the text of err, empty for nil.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
