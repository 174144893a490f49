package nft

import (
	"context"
	"errors"
	"fmt"
)

// Conn changes and watches the nftables of one network namespace. One
// goroutine may use it, and another may run Watch meanwhile.
type Conn struct{}

// Open opens the nftables of the network namespace of the calling thread,
// and stays there whatever thread uses the Conn later. The caller closes it.
func Open() (*Conn, error) { return nil, fmt.Errorf("open nftables: %w", errors.ErrUnsupported) }

// Close closes the Conn and ends a Watch. The rules stay.
func (c *Conn) Close() error { return nil }

// Apply makes the kernel hold r, whatever it held before, in one transaction:
// no packet meets a part of it.
func (c *Conn) Apply(r Ruleset) error { return nil }

// Ensure makes the kernel hold r and reports whether that took a change.
func (c *Conn) Ensure(r Ruleset) (changed bool, err error) { return false, nil }

// Remove removes everything of ours; where nothing is, it succeeds.
func (c *Conn) Remove() error { return nil }

// Watch calls changed when it has begun, and after every transaction that
// another process or Conn made in the namespace, until ctx ends.
func (c *Conn) Watch(ctx context.Context, changed func()) error { return nil }
