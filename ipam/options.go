package ipam

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
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
	optionBase      = "ndp6.base"

	withoutIPv4 = "none" // the one value of optionIPv4
)

// Option describes a --ipam-opt key, for people.
type Option struct {
	Key string
	// Value says what a right value looks like.
	Value string
	// Default is what holds without the option, in words.
	Default string
	// Text is what the option is for.
	Text string
}

// Options returns all options that pools have, in the order of the reference.
func Options() []Option {
	return []Option{
		{
			Key: optionIID, Value: words(alloc.Modes()), Default: "the setting `--iid`",
			Text: "What an address is made of. `name`, the container's name, needs Docker 29.",
		},
		{
			Key: optionSource, Value: words(source.Froms()), Default: "the setting `--pool-source`",
			Text: "Where a pool without `--subnet` comes from. `auto` is the first of the others that there is.",
		},
		{
			Key: optionPrefixLen, Value: "a number from 64 to 126", Default: "the setting `--prefix-len`",
			Text: "Length of such a pool. Beyond 80, addresses are numbered one by one.",
		},
		{
			Key: optionBase, Value: "an IPv6 prefix that the hosts of a cluster share", Default: "no base",
			Text: "The pool is a block of it that no other host has, claimed in etcd (`--etcd`).",
		},
		{
			Key: optionIPv4, Value: withoutIPv4, Default: "IPv4 beside IPv6",
			Text: "No IPv4 on this network, for Docker before 28.",
		},
	}
}

func words[T ~string](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}

func optionKeys() []string {
	var keys []string
	for _, o := range Options() {
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	return keys
}

// poolOptions are the checked options of a RequestPool.
type poolOptions struct {
	iid    alloc.Mode // empty when not given
	noIPv4 bool
	wish   source.Wish
	base   netip.Prefix // the zero value when not given
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
	if o.base.IsValid() && o.wish.From != "" {
		return poolOptions{}, fmt.Errorf("--ipam-opt %s=%s contradicts --ipam-opt %s=%s: leave one of them out", optionBase, o.base, optionSource, o.wish.From)
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
	case optionBase:
		if o.base, err = netip.ParsePrefix(value); err != nil || !o.base.Addr().Is6() {
			err = errors.New("want an IPv6 prefix such as 2001:db8::/64")
		}
	case optionIPv4:
		if o.noIPv4 = value == withoutIPv4; !o.noIPv4 {
			err = fmt.Errorf("value %q is unknown: use %s, or leave the option out", value, withoutIPv4)
		}
	default:
		err = fmt.Errorf("option is unknown: use one of %s", strings.Join(optionKeys(), ", "))
	}
	return err
}
