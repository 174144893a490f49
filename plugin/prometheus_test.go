package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// needCommand skips the test where a command is missing, or fails it where it must not be.
func needCommand(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			nettest.Unavailable(t, "no command "+name+": on Debian, sudo apt-get install prometheus")
		}
	}
}

// TestPrometheus has a real Prometheus scrape a plugin that serves a container,
// and reads there what docs/metrics.md says, no more and no less.
func TestPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("Prometheus takes seconds to start")
	}
	needCommand(t, "prometheus", "promtool")
	nettest.Enter(t)
	router := nettest.Another(t)
	nettest.Run(t,
		"ip link add eth0 type veth peer name lan0 netns "+router, "ip link set eth0 up",
		"ip addr add fe80::5/64 dev eth0 nodad", "ip addr add 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route add default via fe80::9 dev eth0",
	)
	nettest.RunIn(t, router, "ip link set lan0 up", "ip addr add 2001:db8::9/64 dev lan0 nodad")
	dir := t.TempDir()
	began := time.Now()
	t.Setenv("NDP6_METRICS_ADDR", "[::1]:9166")
	_, stop := start(t, dir)
	defer stop()
	plugin := client(filepath.Join(dir, "ndp6.sock"))
	for _, call := range [][2]string{
		{"IpamDriver.RequestPool", `{"AddressSpace":"ndp6","Pool":"2001:db8:0:0:a::/80","V6":true}`},
		{"NetworkDriver.CreateNetwork", `{"NetworkID":"web","Options":{},"IPv6Data":[{"Pool":"2001:db8:0:0:a::/80"}]}`},
		{"NetworkDriver.CreateEndpoint", `{"NetworkID":"web","EndpointID":"box","Interface":{"AddressIPv6":"2001:db8:0:0:a:242:ac11:2/80","MacAddress":"02:42:ac:11:00:02"}}`},
		{"NetworkDriver.Join", `{"NetworkID":"web","EndpointID":"box","SandboxKey":"/run/docker/netns/box"}`},
	} {
		if body := post(t, plugin, call[0], call[1]); strings.Contains(body, `"Err"`) {
			t.Fatalf("%s: %s", call[0], body)
		}
	}
	post(t, plugin, "NetworkDriver.Join", `{"NetworkID":"nothing","EndpointID":"box"}`)
	send(t, router, "[2001:db8:0:0:a:242:ac11:2]:53")
	nettest.Run(t, "ip -6 neigh del proxy 2001:db8:0:0:a:242:ac11:2 dev eth0")

	local := get(t, client(filepath.Join(dir, "admin.sock")), "http://ndp6/metrics")
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(local)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	t.Logf("%d lines, %d bytes", strings.Count(local, "\n"), len(local))

	prometheus(t)
	all := math.Inf(1)
	names := await(t, []expected{
		{`up`, 1, 1},
		{`ndp6_networks{mode="routed"}`, 1, 1},
		{`ndp6_endpoints{state="joined"}`, 1, 1},
		{`ndp6_proxy_entries{uplink="eth0"}`, 1, 1},
		{`ndp6_uplink_ready{uplink="eth0"}`, 1, 1},
		{`ndp6_repairs_total{object="proxy"}`, 1, all},
		{`ndp6_problems`, 0, 0},
		{`ndp6_drift_operations`, 0, 0},
		{`ndp6_docker_calls_total{method="NetworkDriver.Join",result="ok"}`, 1, 1},
		{`ndp6_docker_calls_total{method="NetworkDriver.Join",result="error"}`, 1, 1},
		{`ndp6_docker_call_duration_seconds_count{method="NetworkDriver.Join"}`, 2, 2},
		{`ndp6_docker_call_duration_seconds_bucket{le="+Inf",method="NetworkDriver.Join"}`, 2, 2},
		{`ndp6_firewall_dropped_packets_total{reason="inbound"}`, 1, 1},
		{`ndp6_firewall_dropped_packets_total{reason="spoof"}`, 0, 0},
		{`ndp6_uplink_solicitations_received_total{uplink="eth0"}`, 0, all},
		{`ndp6_uplink_advertisements_sent_total{uplink="eth0"}`, 0, all},
		{`ndp6_responder{uplink="eth0"}`, 1, 1},
		{`ndp6_responder_answers_total{kind="multicast",uplink="eth0"}`, 1, all},
		{`ndp6_responder_drops_total{reason="checksum",uplink="eth0"}`, 0, 0},
		{`ndp6_announcements_total{result="sent"}`, 3, all},
		{`ndp6_store_write_duration_seconds_count{store="lasting"}`, 1, all},
		{`ndp6_start_time_seconds`, float64(began.Unix()), float64(began.Unix() + 600)},
		{`ndp6_resident_memory_bytes`, 1e6, 1e9},
		{`ndp6_scrape_errors_total`, 0, 0},
	})
	if diff := cmp.Diff(documented(t), names); diff != "" {
		t.Errorf("metrics of docs/metrics.md and of Prometheus (-want +got):\n%s", diff)
	}
}

// TestAlerts: Prometheus takes the rules, a healthy host has no alert, and
// what is wrong with a sick one has its own.
func TestAlerts(t *testing.T) {
	if testing.Short() {
		t.Skip("rules change seldom")
	}
	needCommand(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "../docs/alerts.yml"}, {"test", "rules", "testdata/alerts.yml"}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// send sends a packet from another namespace to a port that nobody published.
func send(t *testing.T, namespace, to string) {
	t.Helper()
	err := netns.Do(namespace, func() error {
		conn, err := net.Dial("udp6", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// prometheus runs one in the test's namespace, with the alert rules, until the
// test ends.
func prometheus(t *testing.T) {
	t.Helper()
	rules, err := filepath.Abs("../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: ndp6
    static_configs: [{targets: ['[::1]:9166']}]
`, rules)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:9090", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
}

// An expected series has a value from min to max.
type expected struct {
	series   string
	min, max float64
}

// await waits until Prometheus has what is expected, and returns the names of
// all that it has of ndp6; those of a histogram once.
func await(t *testing.T, want []expected) []string {
	t.Helper()
	const patience = 30 * time.Second
	for begin := time.Now(); ; {
		got, err := scraped(t)
		missing := slices.DeleteFunc(slices.Clone(want), func(e expected) bool {
			v, ok := got[e.series]
			return ok && v >= e.min && v <= e.max
		})
		if err == nil && len(missing) == 0 {
			return families(got)
		}
		if time.Since(begin) > patience {
			for _, e := range missing {
				t.Errorf("%s is %v, want %v to %v", e.series, got[e.series], e.min, e.max)
			}
			t.Fatalf("after %v: %v", patience, err)
		}
		<-time.After(250 * time.Millisecond)
	}
}

// scraped returns the series that Prometheus has of the plugin. It asks from a
// process in the test's namespace: Go's client dials from whatever thread it likes.
func scraped(t *testing.T) (map[string]float64, error) {
	t.Helper()
	out, err := exec.Command("promtool", "query", "instant", "-o", "json", "http://127.0.0.1:9090", `{job="ndp6"}`).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var answer []struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	all := make(map[string]float64)
	for _, a := range answer {
		value, err := strconv.ParseFloat(fmt.Sprint(a.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		name, labels := a.Metric["__name__"], []string(nil)
		for _, l := range slices.Sorted(maps.Keys(a.Metric)) {
			if !slices.Contains([]string{"__name__", "instance", "job"}, l) {
				labels = append(labels, fmt.Sprintf("%s=%q", l, a.Metric[l]))
			}
		}
		if len(labels) > 0 {
			name += "{" + strings.Join(labels, ",") + "}"
		}
		all[name] = value
	}
	return all, nil
}

// families returns the names of the metrics of ndp6 that series are of.
func families(series map[string]float64) []string {
	var names []string
	for s := range series {
		if name, _, _ := strings.Cut(s, "{"); strings.HasPrefix(name, "ndp6_") {
			names = append(names, regexp.MustCompile(`_seconds_(bucket|sum|count)$`).ReplaceAllString(name, "_seconds"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func documented(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	// The host of the test has no etcd, and so none of what comes last.
	text, _, ok := strings.Cut(string(data), "\n## Cluster\n")
	if !ok {
		t.Fatal("docs/metrics.md has no part on clusters")
	}
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(ndp6_[a-z0-9_]+)`").FindAllStringSubmatch(text, -1) {
		names = append(names, row[1])
	}
	slices.Sort(names)
	return names
}

// client speaks HTTP to a unix socket.
func client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

func post(t *testing.T, c *http.Client, method, body string) string {
	t.Helper()
	resp, err := c.Post("http://ndp6/"+method, "", strings.NewReader(body))
	return content(t, resp, err)
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	return content(t, resp, err)
}

func content(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
