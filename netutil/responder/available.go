package responder

import (
	"errors"
	"fmt"

	"github.com/ndp6/ndp6/netutil/tc"
)

// ErrUnavailable is wrapped by errors of Available and New about a kernel that
// does not run the program, or not for this process.
var ErrUnavailable = errors.New("the kernel does not run the responder")

// Available says why the kernel does not run the program here: its version, a
// capability that lacks, a policy. It is nil where it does. It takes some
// milliseconds and leaves nothing behind.
func Available() error {
	var objects programObjects
	if err := load(&objects); err != nil {
		return err
	}
	return objects.Close()
}

// load loads the program and its tables.
func load(objects *programObjects) error {
	err := tc.Load(tc.Release{Major: 5, Minor: 4}, func() error { return loadProgramObjects(objects, nil) })
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}
