package metrics_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/exposition"
	"github.com/ndp6/ndp6/plugin/metrics"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/wire"
)

// full is a snapshot in which everything differs.
func full() metrics.Snapshot {
	spread := func(counts ...uint64) exposition.Spread {
		return exposition.Spread{Bounds: []float64{0.01, 1}, Counts: counts, Sum: 1.5}
	}
	return metrics.Snapshot{
		Process: metrics.Process{
			Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "v1.2.3", GoVersion: "go1.26",
			Goroutines: 21, Resident: 23 << 20, CPU: 1250 * time.Millisecond,
		},
		Calls: wire.Counts{
			Methods: []wire.MethodCounts{
				{Method: "NetworkDriver.Join", OK: 3, Error: 1, Took: spread(2, 1, 1)},
				{Method: "NetworkDriver.Leave", Took: spread(0, 0, 0)},
			},
			Panics: 1, InFlight: 2,
		},
		Driver: driver.Counts{
			Networks: map[plan.Mode]int{plan.Routed: 4, plan.NPTv6: 1}, Joined: 5, Idle: 6, Withdrawn: 7, Problems: 8, Warnings: 9,
			Loop: reconcile.Counts{
				Passes: 10, PassTime: 11 * time.Millisecond, LastPass: time.Date(2026, 1, 2, 3, 4, 6, 500e6, time.UTC), Drift: 12,
				Repairs: map[plan.Kind]uint64{plan.KindProxy: 13, plan.KindSysctl: 14}, Rulesets: 15,
			},
		},
		Host: reconcile.HostCounts{
			RuleRepairs: 16, PrefixChanges: 17, Forwarded: fastpath.Counts{Entered: 34, Left: 35},
			Uplinks: []reconcile.UplinkCounts{
				{Name: "eth0", Ready: true, Proxies: 18, Discovery: kernel.Discovery{Solicitations: 19, Advertisements: 20}, Responder: &responder.Counts{
					Answers: map[string]uint64{"multicast": 31, "unicast": 32}, Drops: map[string]uint64{"unassigned": 33},
				}},
				{Name: "eth1"},
			},
		},
		Speaker: ndisc.Counts{Announced: 21, AnnounceErrors: 22, Free: 23, Taken: 24, ProbeErrors: 25},
		Pools: []ipam.PoolStatus{
			{Source: "uplink", Leases: 26}, {Source: "uplink", Leases: 1}, {Source: "range", Leases: 1, Capacity: 4}, {Source: "range", Leases: 2, Capacity: 4},
		},
		Drops:   map[string]nft.Counter{"spoof": {Packets: 27, Bytes: 28}, "d_mac": {}},
		Lasting: store.Writes{Failed: 29, Took: spread(1, 0, 0)},
		Boot:    store.Writes{Took: spread(0, 1, 0)},
		Errors:  30,
		Cluster: &cluster.Counts{
			Connected: true, Blocks: 31, Refused: 32, FailedRequests: 33,
			Peers: map[string]int{cluster.Alive: 34, cluster.Silent: 35, cluster.Answering: 36},
		},
	}
}

func TestText(t *testing.T) {
	path := filepath.Join("testdata", "metrics.txt")
	got := string(exposition.Text(metrics.Families(full())))
	if os.Getenv("NDP6_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("NDP6_UPDATE=1 writes it (-want +got):\n%s", diff)
	}
}

// TestNames: each is ours and there once, and so is each series.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for line := range strings.Lines(string(exposition.Text(metrics.Families(full())))) {
		series, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(line, "# ") {
			series = strings.Join(strings.Fields(line)[:3], " ")
		}
		if seen[series] {
			t.Errorf("%s is there twice", series)
		}
		if seen[series] = true; !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(series, "# HELP "), "# TYPE "), "ndp6_") {
			t.Errorf("%s does not start with ndp6_", series)
		}
	}
}

// TestDocumented: docs/metrics.md has what is exposed, and nothing else.
func TestDocumented(t *testing.T) {
	text := read(t, "../../docs/metrics.md")
	var want strings.Builder
	for _, f := range metrics.Families(full()) {
		labels := "`" + strings.Join(f.Labels, "`, `") + "`"
		if len(f.Labels) == 0 {
			labels = ""
		}
		want.WriteString(strings.ReplaceAll("| `"+f.Name+"` | "+string(f.Type)+" | "+labels+" | "+strings.TrimSuffix(f.Help, ".")+" |\n", "|  |", "| |"))
	}
	rows := regexp.MustCompile("(?m)^\\| `ndp6_.*\n").FindAllString(text, -1)
	if diff := cmp.Diff(want.String(), strings.Join(rows, "")); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	var reasons []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]+ \\|$").FindAllStringSubmatch(text, -1) {
		reasons = append(reasons, row[1])
	}
	if diff := cmp.Diff(firewall.Counters(), reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// TestUsed: dashboard and alerts ask for metrics that there are, with labels
// that they have.
func TestUsed(t *testing.T) {
	labels := make(map[string][]string)
	for _, f := range metrics.Families(full()) {
		if f.Type != exposition.Histogram {
			labels[f.Name] = f.Labels
			continue
		}
		labels[f.Name+"_sum"], labels[f.Name+"_count"] = f.Labels, f.Labels
		labels[f.Name+"_bucket"] = append([]string{"le"}, f.Labels...)
	}
	dashboard := read(t, "../../docs/grafana-dashboard.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
	for name, text := range map[string]string{"alerts": read(t, "../../docs/alerts.yml"), "dashboard": strings.ReplaceAll(dashboard, `\"`, `"`)} {
		used := regexp.MustCompile(`\b(ndp6_[a-z0-9_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(text, -1)
		if len(used) < 8 {
			t.Errorf("%s use %d metrics: too few to be true", name, len(used))
		}
		for _, u := range used {
			has, ok := labels[u[1]]
			if !ok {
				t.Errorf("%s use %s, which does not exist", name, u[1])
			}
			for _, l := range regexp.MustCompile(`([a-z]+) *[!=]~?"`).FindAllStringSubmatch(u[2], -1) {
				if !slices.Contains(append([]string{"instance", "job"}, has...), l[1]) {
					t.Errorf("%s use %s, which has no label %s", name, u[0], l[1])
				}
			}
		}
	}
}

func TestHandler(t *testing.T) {
	var broken error
	h := metrics.NewHandler(func() (metrics.Snapshot, error) { return full(), broken }, slog.New(slog.DiscardHandler))
	get := func(want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		body, err := io.ReadAll(w.Body)
		if err != nil || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" || !strings.Contains(string(body), want) {
			t.Errorf("%v, %v, want %q in:\n%s", err, w.Header(), want, body)
		}
	}
	get("\nndp6_scrape_errors_total 0\n")
	broken = errors.New("no counters")
	get("\nndp6_scrape_errors_total 1\n")
	broken = nil
	get("\nndp6_scrape_errors_total 1\n")
}

func TestSelf(t *testing.T) {
	began := time.Now()
	p, err := metrics.Self(began)
	if err != nil || p.Resident < 1<<20 || p.Resident > 1<<32 || p.Goroutines < 1 || p.CPU <= 0 || p.Version == "" || !p.Started.Equal(began) {
		t.Errorf("%+v, %v", p, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
