package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/ndp6/ndp6/plugin/store"
)

// oldLease is a record of a version of ndp6 that never was.
type oldLease struct {
	IP string
}

// rename is a migration from oldLease to lease.
func rename(tx *bolt.Tx) error {
	b := tx.Bucket([]byte("leases"))
	if b == nil {
		return nil
	}
	return b.ForEach(func(id, text []byte) error {
		var was oldLease
		if err := json.Unmarshal(text, &was); err != nil {
			return err
		}
		text, err := json.Marshal(lease{Addr: netip.MustParseAddr(was.IP), Name: "migrated"})
		if err != nil {
			return err
		}
		return b.Put(id, text)
	})
}

// replace is a migration that follows.
func replace(tx *bolt.Tx) error {
	if tx.Bucket([]byte("names")) != nil {
		return errors.New("names are there already")
	}
	_, err := tx.CreateBucket([]byte("names"))
	return err
}

// older makes a store of the first version.
func older(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir, "one")
	for _, b := range []*store.Bucket[oldLease]{store.Lasting[oldLease](s, "leases"), store.Boot[oldLease](s, "leases")} {
		if err := b.Put("c1", oldLease{IP: "2001:db8::3"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMigration(t *testing.T) {
	dir := older(t)
	var log bytes.Buffer
	s, err := store.OpenWith(dir, "one", slog.New(slog.NewTextHandler(&log, nil)), []store.Migration{rename, replace})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]lease{"c1": {Addr: netip.MustParseAddr("2001:db8::3"), Name: "migrated"}}
	checkAll(t, store.Lasting[lease](s, "leases"), want)
	checkAll(t, store.Boot[lease](s, "leases"), want)
	s.Close()
	if n := strings.Count(log.String(), "schema=3"); n != 2 {
		t.Errorf("log %q, want both files to be migrated", &log)
	}
	if diff := cmp.Diff([]string{"boot-one.db", "boot-one.db.schema-1", "state.db", "state.db.schema-1"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	t.Log("once is enough")
	s, err = store.OpenWith(dir, "one", quiet, []store.Migration{rename, replace})
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, store.Lasting[lease](s, "leases"), want)
	s.Close()

	t.Log("the older version is told, and can go on with the copy")
	path := filepath.Join(dir, "state.db")
	_, err = store.Open(dir, "one", quiet)
	checkError(t, err, "open store "+path+": a newer ndp6 wrote the file: its schema version is 3, this one knows 1: install the version of ndp6 that wrote it, or move the file away to start empty")
	back := t.TempDir()
	rewriteTo(t, path+".schema-1", filepath.Join(back, "state.db"))
	old, err := store.Lasting[oldLease](open(t, back, "one"), "leases").All()
	if diff := cmp.Diff(map[string]oldLease{"c1": {IP: "2001:db8::3"}}, old); diff != "" || err != nil {
		t.Errorf("records of the copy, error %v (-want +got):\n%s", err, diff)
	}
}

func TestMigrationBreaks(t *testing.T) {
	dir := older(t)
	path := filepath.Join(dir, "state.db")
	broken := func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("leases")), errors.New("a record makes no sense"))
	}
	_, err := store.OpenWith(dir, "one", quiet, []store.Migration{rename, broken})
	checkError(t, err, "open store "+path+": migrate it from schema version 2 to 3: a record makes no sense: the file is as it was: install the version of ndp6 that wrote it")

	old, err := store.Lasting[oldLease](open(t, dir, "one"), "leases").All()
	if diff := cmp.Diff(map[string]oldLease{"c1": {IP: "2001:db8::3"}}, old); diff != "" || err != nil {
		t.Errorf("records, error %v (-want +got):\n%s", err, diff)
	}
}

func TestNewFileHasTheVersionOfItsMaker(t *testing.T) {
	dir := t.TempDir()
	never := func(*bolt.Tx) error { return errors.New("nothing to migrate") }
	s, err := store.OpenWith(dir, "one", quiet, []store.Migration{never})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if diff := cmp.Diff([]string{"boot-one.db", "state.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
