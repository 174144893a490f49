package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// An Event is a change of a key.
type Event struct {
	// Deleted is whether the key is gone, else it was written.
	Deleted bool
	KV
}

// update is a part of the stream of a watch.
type update struct {
	Result struct {
		Events []struct {
			Type string `json:"type"` // empty for a key that was written
			KV   KV     `json:"kv"`
		} `json:"events"`
		Canceled        bool   `json:"canceled"`
		CancelReason    string `json:"cancel_reason"`
		CompactRevision int64  `json:"compact_revision,string"`
	} `json:"result"`
	Error *failure `json:"error"`
}

const watchPath = "/v3/watch"

// errMoved ends a watch of an endpoint that answers others no more: it might stay
// silent for ever.
var errMoved = unreachable{errors.New("another endpoint answers now")}

// Watch calls f with what changes from a revision on, of the keys from first up
// to, and without, end, in order. It returns when ctx ends, or its endpoint is
// away or knows no leader, never nil; begin again with the keys as they are by then.
func (c *Client) Watch(ctx context.Context, first, end string, revision int64, f func([]Event)) error {
	at, moved := c.endpoint()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-moved:
			cancel(errMoved)
		case <-ctx.Done():
		}
	}()
	request := map[string]any{"create_request": map[string]any{
		"key": Text(first), "range_end": Text(end), "start_revision": fmt.Sprint(revision),
	}}
	body, err := c.open(ctx, at, watchPath, request)
	if err != nil {
		return fmt.Errorf("watch etcd: %w", err)
	}
	defer body.Close()
	updates := json.NewDecoder(body)
	for {
		var u update
		if err := updates.Decode(&u); err != nil {
			return fmt.Errorf("watch etcd: %w", errors.Join(unreachable{err}, context.Cause(ctx)))
		}
		switch r := u.Result; {
		case u.Error != nil:
			return fmt.Errorf("watch etcd: %w", u.Error.err(c.user))
		case r.CompactRevision != 0:
			return fmt.Errorf("watch etcd: %w", ErrCompacted)
		case r.Canceled:
			return fmt.Errorf("watch etcd: %w", failure{Message: r.CancelReason}.err(c.user))
		}
		events := make([]Event, 0, len(u.Result.Events))
		for _, e := range u.Result.Events {
			events = append(events, Event{Deleted: e.Type == "DELETE", KV: e.KV})
		}
		if len(events) > 0 {
			f(events)
		}
	}
}
