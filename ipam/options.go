package ipam

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/ipam/alloc"
)

// Options of RequestPool, given with --ipam-opt.
const (
	optionSpace = "ndp6."
	optionIID   = "ndp6.iid"
	optionIPv4  = "ndp6.ipv4"
)

// poolOptions are the checked options of a RequestPool.
type poolOptions struct {
	iid    alloc.Mode // empty when not given
	noIPv4 bool
}

// parseOptions refuses what it does not know of our own options; those of
// others are theirs to check.
func parseOptions(given map[string]string, log *slog.Logger) (poolOptions, error) {
	var o poolOptions
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		switch {
		case key == optionIID:
			m, err := alloc.ParseMode(value)
			if err != nil {
				return poolOptions{}, fmt.Errorf("--ipam-opt %s=%s: %w", key, value, err)
			}
			o.iid = m
		case key == optionIPv4:
			if value != "none" {
				return poolOptions{}, fmt.Errorf("--ipam-opt %s=%s: value %q is unknown: use none, or leave the option out", key, value, value)
			}
			o.noIPv4 = true
		case strings.HasPrefix(key, optionSpace):
			return poolOptions{}, fmt.Errorf("--ipam-opt %s=%s: option is unknown: use %s or %s", key, value, optionIID, optionIPv4)
		default:
			log.Debug("ipam option ignored", "option", key)
		}
	}
	return o, nil
}
