package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestAlive has the kernel keep Run for a minute.
func TestAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0))
		alive := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return r.Alive(ctx)
		}
		if err := alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before Run: %v", err)
		}
		stop := r.run(t)
		if err := alive(); err != nil {
			t.Errorf("between passes: %v", err)
		}
		r.kernel.slow = time.Minute
		r.records.remove(box(0).ID)
		r.Kick()
		time.Sleep(time.Second)
		if err := alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the kernel hangs: %v", err)
		}
		time.Sleep(time.Minute)
		if err := alive(); err != nil {
			t.Errorf("after it: %v", err)
		}
		stop()
		if err := alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after Run: %v", err)
		}
	})
}
