package store_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/plugin/store"
)

// freelist returns the body of the page that lists the free ones, and the
// number of pages.
func freelist(content []byte) (list []byte, pages uint64) {
	native := binary.NativeEndian
	var newest []byte
	for _, at := range []int{0, os.Getpagesize()} {
		head := content[at+16 : at+80]
		if newest == nil || native.Uint64(head[48:]) > native.Uint64(newest[48:]) {
			newest = head
		}
	}
	at := native.Uint64(newest[32:]) * uint64(os.Getpagesize())
	return content[at : at+uint64(os.Getpagesize())], native.Uint64(newest[40:])
}

// A list of free pages that is wrong is damage which bbolt does not look for.
// The next changes would write over live pages, or make the file as large as
// the number of a page says.
func TestDamagedFreelist(t *testing.T) {
	native := binary.NativeEndian
	for name, damage := range map[string]func(list []byte, pages uint64){
		"page beyond the file":  func(l []byte, pages uint64) { native.PutUint64(l[16:], pages+1<<24) },
		"page of the heads":     func(l []byte, _ uint64) { native.PutUint64(l[16:], 1) },
		"page twice":            func(l []byte, _ uint64) { native.PutUint64(l[16:], native.Uint64(l[24:])) },
		"page in use":           func(l []byte, pages uint64) { useAll(l, pages) },
		"more than fit":         func(l []byte, _ uint64) { native.PutUint16(l[10:], 600) },
		"more than memory":      func(l []byte, _ uint64) { native.PutUint16(l[10:], 0xffff); native.PutUint64(l[16:], 1<<36) },
		"more than numbers":     func(l []byte, _ uint64) { native.PutUint16(l[10:], 0xffff); native.PutUint64(l[16:], 1<<63) },
		"another kind of page":  func(l []byte, _ uint64) { native.PutUint16(l[8:], 2) },
		"longer than the file":  func(l []byte, _ uint64) { native.PutUint32(l[12:], 1<<30) },
		"number of another one": func(l []byte, _ uint64) { native.PutUint64(l, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, "state.db")
			rewrite(t, path, func(c []byte) []byte {
				damage(freelist(c))
				return c
			})
			_, err := store.Open(dir, "one", quiet)
			if err == nil || !strings.Contains(err.Error(), "the file is damaged") {
				t.Errorf("error %v, want that the file is damaged", err)
			}
		})
	}
}

// A bucket that is not marked as one would be an empty one.
func TestDamagedBucket(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, "state.db")
	rewrite(t, path, func(c []byte) []byte {
		native := binary.NativeEndian
		for page := 2 * os.Getpagesize(); page < len(c); page += os.Getpagesize() {
			// The root has two elements; the flags of the first are after the page's header.
			if native.Uint16(c[page+8:]) == 2 && native.Uint16(c[page+10:]) == 2 && native.Uint32(c[page+16:]) == 1 {
				native.PutUint32(c[page+16:], 0)
			}
		}
		return c
	})
	_, err := store.Open(dir, "one", quiet)
	if err == nil || !strings.Contains(err.Error(), "the file is damaged: element 0 of page ") {
		t.Errorf("error %v, want that an element is damaged", err)
	}
}

// useAll lists every page as free.
func useAll(list []byte, pages uint64) {
	binary.NativeEndian.PutUint16(list[10:], uint16(pages-2))
	for i := range pages - 2 {
		binary.NativeEndian.PutUint64(list[16+8*i:], 2+i)
	}
}

// FuzzDamage: whatever bytes of a file are wrong, it is refused, or what is
// done with it goes on to work and does not make it grow.
func FuzzDamage(f *testing.F) {
	whole := sound(f)
	f.Add(uint32(0), []byte{0})
	f.Add(uint32(16), []byte("a head that is none"))
	list, _ := freelist(whole)
	at := uint32(len(whole) - len(list))
	for i := range whole {
		if &whole[i] == &list[0] {
			at = uint32(i)
		}
	}
	f.Add(at+10, []byte{0xff, 0xff})
	f.Add(at+16, []byte{0xff, 0xff, 0xff, 0xff})
	for page := 2; page*4096 < len(whole); page++ {
		f.Add(uint32(page*4096), []byte{3})
		f.Add(uint32(page*4096+8), []byte{1, 0, 3, 0})
		f.Add(uint32(page*4096+16), []byte{1, 0, 0, 0, 0xff})
		f.Add(uint32(page*4096+24), []byte{0xff, 0xff, 0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, at uint32, bytes []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "state.db")
		content := append([]byte(nil), whole...)
		copy(content[int(at)%len(content):], bytes)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir, "one", quiet)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "open store "+path+": ") || strings.Contains(err.Error(), "runtime error") {
				t.Errorf("error %v", err)
			}
			return
		}
		defer s.Close()
		b := store.Lasting[lease](s, "leases")
		if _, err := b.All(); err != nil {
			return // a record that is none
		}
		for i := range 8 {
			if err := b.Put(strings.Repeat("x", i+1), web); err != nil {
				t.Errorf("put: %v", err)
			}
		}
		if _, err := b.All(); err != nil {
			t.Errorf("all: %v", err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
			t.Errorf("file %v, error %v", info, err)
		}
	})
}

// sound returns the content of a small file with a tree of pages.
func sound(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s := open(tb, dir, "one")
	b := store.Lasting[lease](s, "leases")
	for i := range 120 {
		put(tb, b, strings.Repeat("c", 1+i), web)
	}
	put(tb, store.Lasting[lease](s, "networks"), "n1", db)
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return read(tb, filepath.Join(dir, "state.db"))
}

// FuzzRecords: a record is what bytes of its bucket say, or an error that says
// which record in which file makes no sense.
func FuzzRecords(f *testing.F) {
	f.Add("c1", []byte(`{"Addr":"2001:db8::2","Name":"web"}`))
	f.Add("c1", []byte(`{"Addr":"2001:db8::2","Weight":7}`))
	f.Add("", []byte(`{}`))
	f.Add("c1", []byte(`{"Addr":"2001:db8::2"}{"Addr":"2001:db8::3"}`))
	f.Add("c1", []byte(`null`))
	f.Add("c1", []byte(``))
	f.Add("c1", []byte(`[1]`))
	f.Add("c1", []byte("{\"Name\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, id string, text []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "boot-one.db")
		s := open(t, dir, "one")
		s.Close()
		if !inject(t, path, id, text) {
			return
		}
		s = open(t, dir, "one")
		b := store.Boot[lease](s, "leases")
		all, err := b.All()
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read leases in store "+path+": record ") {
				t.Errorf("error %v", err)
			}
			return
		}
		v, ok := all[id]
		if !ok || len(all) != 1 {
			t.Fatalf("records %v, want one of id %q", all, id)
		}
		put(t, b, id, v)
		checkAll(t, b, all)
	})
}
