package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// stateDir is where the plugin keeps its records.
const stateDir = "/var/lib/ndp6"

// driverRecords and ipamRecords are the buckets whose records belong to a
// network or an endpoint.
var (
	driverRecords = []string{"networks", "endpoints", "sysctls"}
	ipamRecords   = []string{"pools", "leases"}
)

// records lists what the buckets hold. It reads copies: the plugin has the
// files locked.
func (b *bed) records(buckets ...string) ([]string, error) {
	files, err := filepath.Glob(b.host.Path(stateDir) + "/*.db")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		duplicate := filepath.Join(b.TempDir(), filepath.Base(name))
		if err := os.WriteFile(duplicate, data, 0o600); err != nil {
			return nil, err
		}
		found, err := readRecords(duplicate, buckets)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func readRecords(path string, buckets []string) (found []string, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(bucket []byte, in *bolt.Bucket) error {
			if !slices.Contains(buckets, string(bucket)) {
				return nil
			}
			return in.ForEach(func(id, _ []byte) error {
				found = append(found, fmt.Sprintf("%s: %s", bucket, id))
				return nil
			})
		})
	})
	return found, err
}
