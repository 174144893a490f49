// Package metrics says what ndp6 tells Prometheus of itself, as docs/metrics.md
// lists it.
package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/exposition"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/wire"
)

// A Snapshot is what there is to tell at one moment.
type Snapshot struct {
	Process Process
	Calls   wire.Counts
	Driver  driver.Counts
	Host    reconcile.HostCounts
	Speaker ndisc.Counts
	Pools   []ipam.PoolStatus
	// Drops are by the name of the firewall's counter.
	Drops map[string]nft.Counter
	// Lasting and Boot are the writes to the two files of the store.
	Lasting, Boot store.Writes
	// Cluster is nil for a host on its own.
	Cluster *cluster.Counts
	// Errors is how often a part of a Snapshot could not be read.
	Errors uint64
}

// Families returns all metrics.
func Families(s Snapshot) []exposition.Family {
	var all []exposition.Family
	for _, part := range []func(Snapshot) []exposition.Family{ofProcess, ofCalls, ofRecords, ofUplinks, ofHost, ofFirewall, ofStore, ofCluster} {
		all = append(all, part(s)...)
	}
	return all
}

// A Handler answers with the metrics of the moment. It answers one scrape at a
// time: whoever asks often waits, and not the calls that hold what it reads.
type Handler struct {
	collect func() (Snapshot, error)
	log     *slog.Logger

	mu     sync.Mutex
	errors uint64
}

// NewHandler returns a Handler of what collect returns; its error says which
// parts are missing.
func NewHandler(collect func() (Snapshot, error), log *slog.Logger) *Handler {
	return &Handler{collect: collect, log: log}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	text := exposition.Text(Families(h.snapshot()))
	w.Header().Set("Content-Type", exposition.ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // If the client hung up, nobody is left to tell.
}

func (h *Handler) snapshot() Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.collect()
	if err != nil {
		h.errors++
		h.log.Debug("metrics incomplete", "err", err) // They say it too, at every scrape.
	}
	s.Errors = h.errors
	return s
}
