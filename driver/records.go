package driver

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// Records keeps values of one kind under their ids. Every change is one transaction.
type Records[T any] interface {
	All() (map[string]T, error)
	Put(id string, v T) error
	Delete(id string) error
}

// stubborn are Records whose deletions come true in the end. Docker forgets an
// object whatever we answer, and so do we; a record that could not be deleted,
// on a full disk say, would bring it back with the next process. So it is tried
// again before the next change, and by Sweep.
type stubborn[T any] struct {
	Records[T]

	mu sync.Mutex
	// owed are the ids whose deletion did not succeed.
	owed map[string]bool
}

func newStubborn[T any](r Records[T]) *stubborn[T] {
	return &stubborn[T]{Records: r, owed: make(map[string]bool)}
}

// Put records v, but not before what is owed is deleted: the two may
// contradict each other.
func (s *stubborn[T]) Put(id string, v T) error {
	if err := s.settle(); err != nil {
		return err
	}
	return s.Records.Put(id, v)
}

// Delete deletes now or later; an error says that it is later. Docker never
// uses an id again.
func (s *stubborn[T]) Delete(id string) error {
	s.mu.Lock()
	s.owed[id] = true
	s.mu.Unlock()
	return s.settle()
}

// settle deletes what is owed.
func (s *stubborn[T]) settle() error {
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.owed))
	s.mu.Unlock()
	var errs []error
	for _, id := range ids {
		if err := s.Records.Delete(id); err != nil {
			errs = append(errs, err)
			continue
		}
		s.mu.Lock()
		delete(s.owed, id)
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}
