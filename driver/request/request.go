// Package request says for which of Docker's calls something is done.
package request

import (
	"context"
	"log/slog"
)

type key struct{}

// With returns a context of the call with this number, which is not 0.
func With(ctx context.Context, id uint64) context.Context { return context.WithValue(ctx, key{}, id) }

// ID returns the number of the call that ctx is of, 0 if it is of none.
func ID(ctx context.Context) uint64 {
	id, _ := ctx.Value(key{}).(uint64)
	return id
}

// A Handler adds the attribute request to the lines of a call.
type Handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h Handler) Handle(ctx context.Context, r slog.Record) error {
	if id := ID(ctx); id != 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return Handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h Handler) WithGroup(name string) slog.Handler { return Handler{h.Handler.WithGroup(name)} }
