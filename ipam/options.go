package ipam

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
)

// Options of RequestPool, given with --ipam-opt.
const (
	optionSpace = "ndp6."
	optionIID   = "ndp6.iid"
	optionIPv4  = "ndp6.ipv4"
	// Of the pool that is chosen where none is given.
	optionSource    = "ndp6.source"
	optionPrefixLen = "ndp6.prefix_len"
)

// poolOptions are the checked options of a RequestPool.
type poolOptions struct {
	iid    alloc.Mode // empty when not given
	noIPv4 bool
	wish   source.Wish
}

// parseOptions refuses what it does not know of our own options; those of
// others are theirs to check.
func parseOptions(given map[string]string, log *slog.Logger) (poolOptions, error) {
	var o poolOptions
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !strings.HasPrefix(key, optionSpace) {
			log.Debug("ipam option ignored", "option", key)
			continue
		}
		if err := o.set(key, given[key]); err != nil {
			return poolOptions{}, fmt.Errorf("--ipam-opt %s=%s: %w", key, given[key], err)
		}
	}
	return o, nil
}

func (o *poolOptions) set(key, value string) (err error) {
	switch key {
	case optionIID:
		o.iid, err = alloc.ParseMode(value)
	case optionSource:
		o.wish.From, err = source.ParseFrom(value)
	case optionPrefixLen:
		o.wish.Bits, err = source.ParseBits(value)
	case optionIPv4:
		if o.noIPv4 = value == "none"; !o.noIPv4 {
			err = fmt.Errorf("value %q is unknown: use none, or leave the option out", value)
		}
	default:
		err = fmt.Errorf("option is unknown: use one of %s", strings.Join([]string{optionIID, optionIPv4, optionPrefixLen, optionSource}, ", "))
	}
	return err
}
