package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// A Bucket keeps values of one kind under their ids. Every call is one
// transaction. A bucket may be used by several goroutines.
type Bucket[T any] struct {
	file *file
	name string
}

// Lasting returns the bucket of that name whose records outlive the host's
// boot. A change is on the disk when its call returns.
func Lasting[T any](s *Store, name string) *Bucket[T] {
	return &Bucket[T]{file: s.lasting, name: name}
}

// Boot returns the bucket of that name whose records are gone after the host's
// next boot. A change survives the death of the process and never waits for
// the disk.
func Boot[T any](s *Store, name string) *Bucket[T] {
	return &Bucket[T]{file: s.boot, name: name}
}

// All returns every record by its id. A record with a field that T does not
// have is an error: a newer ndp6 wrote it, and it would be lost at the next Put.
func (b *Bucket[T]) All() (map[string]T, error) {
	records := map[string]T{}
	err := b.file.view(func(tx *bolt.Tx) error {
		in := tx.Bucket([]byte(b.name))
		if in == nil {
			return nil
		}
		return in.ForEach(func(id, value []byte) error {
			v, err := decode[T](value)
			if err != nil {
				return fmt.Errorf("record %q: %w: install the version of ndp6 that wrote it, or move the file away to start empty", id, err)
			}
			records[string(id)] = v
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read %s in store %s: %w", b.name, b.file.path, err)
	}
	return records, nil
}

// decode returns the record that text is: one JSON object and nothing else.
func decode[T any](text []byte) (v T, err error) {
	if !bytes.HasPrefix(text, []byte("{")) {
		return v, errors.New("it is not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return v, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("there is more after its JSON object")
	}
	return v, nil
}

// Put records v under id, in place of what was there.
func (b *Bucket[T]) Put(id string, v T) error {
	value, err := json.Marshal(v)
	if err == nil {
		err = b.file.update(func(tx *bolt.Tx) error {
			in, err := tx.CreateBucketIfNotExists([]byte(b.name))
			if err != nil {
				return err
			}
			return in.Put([]byte(id), value)
		})
	}
	if err != nil {
		return fmt.Errorf("record %q in %s of store %s: %w", id, b.name, b.file.path, err)
	}
	return nil
}

// Delete forgets the record with that id. It succeeds if there is none.
func (b *Bucket[T]) Delete(id string) error {
	err := b.file.update(func(tx *bolt.Tx) error {
		in := tx.Bucket([]byte(b.name))
		if in == nil {
			return nil
		}
		return in.Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("forget %q in %s of store %s: %w", id, b.name, b.file.path, err)
	}
	return nil
}
