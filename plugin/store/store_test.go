package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	bolt "go.etcd.io/bbolt"

	"github.com/ndp6/ndp6/plugin/store"
)

// lease is a record like those that the store is for.
type lease struct {
	Addr netip.Addr
	Name string `json:",omitempty"`
}

var (
	web = lease{Addr: netip.MustParseAddr("2001:db8::42:aaff:fe00:2"), Name: "web"}
	db  = lease{Addr: netip.MustParseAddr("2001:db8::3")}

	addrs = cmpopts.EquateComparable(netip.Addr{})
	quiet = slog.New(slog.DiscardHandler)
)

func open(tb testing.TB, dir, bootID string) *store.Store {
	tb.Helper()
	s, err := store.Open(dir, bootID, quiet)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func put(tb testing.TB, b *store.Bucket[lease], id string, v lease) {
	tb.Helper()
	if err := b.Put(id, v); err != nil {
		tb.Fatal(err)
	}
}

func checkAll(tb testing.TB, b *store.Bucket[lease], want map[string]lease) {
	tb.Helper()
	got, err := b.All()
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(want, got, addrs); diff != "" {
		tb.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "ndp6")
	s := open(t, dir, "one")
	for _, b := range []*store.Bucket[lease]{store.Lasting[lease](s, "leases"), store.Boot[lease](s, "leases")} {
		checkAll(t, b, map[string]lease{})
		if err := b.Delete("c1"); err != nil {
			t.Errorf("delete from a bucket that is not there: %v", err)
		}
		put(t, b, "c1", db)
		put(t, b, "c1", web)
		put(t, b, "c2", db)
		put(t, b, "c3", db)
		for range 2 {
			if err := b.Delete("c3"); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		checkAll(t, b, map[string]lease{"c1": web, "c2": db})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir, "one")
	checkAll(t, store.Lasting[lease](again, "leases"), map[string]lease{"c1": web, "c2": db})
	checkAll(t, store.Boot[lease](again, "leases"), map[string]lease{"c1": web, "c2": db})
	checkAll(t, store.Boot[lease](again, "others"), map[string]lease{})
}

func TestNextBoot(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "one")
	put(t, store.Lasting[lease](s, "leases"), "c1", web)
	put(t, store.Boot[lease](s, "leases"), "c1", web)
	s.Close()
	if err := os.WriteFile(filepath.Join(dir, "boot-zero.db.damaged"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, "two")
	checkAll(t, store.Lasting[lease](s, "leases"), map[string]lease{"c1": web})
	checkAll(t, store.Boot[lease](s, "leases"), map[string]lease{})
	if diff := cmp.Diff([]string{"boot-two.db", "state.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCounts(t *testing.T) {
	s := open(t, t.TempDir(), "boot1")
	before, _ := s.Counts() // a new file is a write or more
	lasting, boot := store.Lasting[lease](s, "leases"), store.Boot[lease](s, "leases")
	put(t, lasting, "web", web)
	put(t, boot, "web", web)
	if err := errors.Join(lasting.Delete("web"), lasting.Delete("nothing")); err != nil {
		t.Fatal(err)
	}
	if err := lasting.Put("", web); err == nil {
		t.Error("a record without an id: no error")
	}
	checkAll(t, boot, map[string]lease{"web": web})
	gotLasting, gotBoot := s.Counts()
	if n := gotLasting.Took.Count() - before.Took.Count(); n != 4 || gotLasting.Failed != 1 || gotLasting.Took.Sum <= before.Took.Sum {
		t.Errorf("%d lasting writes, want 4, and one that failed: %+v", n, gotLasting)
	}
	if gotBoot.Failed != 0 || gotBoot.Took.Count() == 0 {
		t.Errorf("writes of this boot: %+v", gotBoot)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ndp6")
	open(t, dir, "one").Close()
	if err := os.Chmod(filepath.Join(dir, "state.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, dir, "one")
	for name, want := range map[string]os.FileMode{
		"": os.ModeDir | 0o700, "state.db": 0o600, "boot-one.db": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%q has mode %s, want %s", name, info.Mode(), want)
		}
	}
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir(), "one")
	b := store.Lasting[lease](s, "leases")
	s.Close()
	if err := b.Put("c1", web); err == nil {
		t.Error("Put succeeded on a closed store")
	}
	if _, err := b.All(); err == nil {
		t.Error("All succeeded on a closed store")
	}
}

// Only what outlives the boot waits for the disk: nothing on the path of docker
// run is there.
func TestWaits(t *testing.T) {
	lasting, boot := open(t, t.TempDir(), "one").Waits()
	if !lasting || boot {
		t.Errorf("commits wait for the disk: lasting %t, boot %t; want true, false", lasting, boot)
	}
}

func TestUnknownField(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "one")
	type newer struct {
		Addr   netip.Addr
		Weight int
	}
	if err := store.Lasting[newer](s, "leases").Put("c1", newer{Addr: db.Addr, Weight: 7}); err != nil {
		t.Fatal(err)
	}
	_, err := store.Lasting[lease](s, "leases").All()
	checkError(t, err, "read leases in store "+dir+`/state.db: record "c1": json: unknown field "Weight": install the version of ndp6 that wrote it, or move the file away to start empty`)
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "one")
	_, err := store.Open(dir, "one", quiet)
	checkError(t, err, "open store "+dir+"/state.db: another process uses it: stop that one (is ndp6 running already, as a service or a managed plugin?), or choose another --state-dir")
	put(t, store.Lasting[lease](s, "leases"), "c1", web)
}

func TestBootID(t *testing.T) {
	id, err := store.BootID()
	if err != nil {
		t.Fatal(err)
	}
	open(t, t.TempDir(), id)
	for _, bad := range []string{"", "a/b"} {
		if _, err := store.Open(t.TempDir(), bad, quiet); err == nil {
			t.Errorf("boot id %q was taken", bad)
		}
	}
}

// The writer that TestKilled kills: it says each id after it was recorded.
func TestMain(m *testing.M) {
	dir := os.Getenv("STORE_TEST_WRITER")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := store.Open(dir, "one", quiet)
	for i := 0; err == nil; i++ {
		id := strconv.Itoa(i)
		if err = store.Lasting[lease](s, "leases").Put(id, web); err == nil {
			err = store.Boot[lease](s, "leases").Put(id, web)
		}
		fmt.Fprintln(os.Stdout, id)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), "STORE_TEST_WRITER="+dir)
		writer.Stderr = os.Stderr
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			last, err = strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			if last == 20*(round+1) {
				if err := writer.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := writer.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("writer ended with %v, want that it was killed", err)
		}

		s := open(t, dir, "one")
		for _, b := range []*store.Bucket[lease]{store.Lasting[lease](s, "leases"), store.Boot[lease](s, "leases")} {
			records, err := b.All()
			if err != nil {
				t.Fatal(err)
			}
			for i := range last + 1 {
				if diff := cmp.Diff(web, records[strconv.Itoa(i)], addrs); diff != "" {
					t.Fatalf("record %d of %d (-want +got):\n%s", i, last, diff)
				}
			}
		}
		s.Close()
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, b.TempDir(), "one")
	for name, bucket := range map[string]*store.Bucket[lease]{
		"lasting": store.Lasting[lease](s, "leases"),
		"boot":    store.Boot[lease](s, "leases"),
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				put(b, bucket, strconv.Itoa(i%10_000), web)
			}
		})
	}
}

// BenchmarkOpen reads all pages of a store with the records of 10,000 containers.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, "one")
	bucket := store.Boot[lease](s, "leases")
	for i := range 10_000 {
		put(b, bucket, fmt.Sprintf("%064d", i), web)
	}
	s.Close()
	for b.Loop() {
		s, err := store.Open(dir, "one", quiet)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

func checkError(tb testing.TB, err error, want string) {
	tb.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("error (-want +got):\n%s", diff)
	}
}

func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// rewrite replaces a file by what change makes of it, and returns that.
func rewrite(tb testing.TB, path string, change func([]byte) []byte) []byte {
	tb.Helper()
	broken := change(read(tb, path))
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		tb.Fatal(err)
	}
	return broken
}

func rewriteTo(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.WriteFile(to, read(tb, from), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// inject puts bytes into a bucket, unless bbolt has no such id.
func inject(tb testing.TB, path, id string, text []byte) bool {
	tb.Helper()
	edit, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer edit.Close()
	return edit.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("leases"))
		if err != nil {
			return err
		}
		return b.Put([]byte(id), text)
	}) == nil
}
