package request_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/request"
)

func TestHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(request.Handler{Handler: slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})})
	ctx := request.With(t.Context(), 17)
	log.InfoContext(ctx, "of a call", "a", 1)
	log.InfoContext(t.Context(), "of none")
	log.With("b", 2).InfoContext(ctx, "with more")
	log.WithGroup("g").InfoContext(ctx, "in a group")
	want := `level=INFO msg="of a call" a=1 request=17
level=INFO msg="of none"
level=INFO msg="with more" b=2 request=17
level=INFO msg="in a group" g.request=17
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if id := request.ID(t.Context()); id != 0 {
		t.Errorf("number of no call: %d", id)
	}
}
