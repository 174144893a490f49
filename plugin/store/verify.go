package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts its file: a page number that leads out of it raises a signal,
// some of them in a goroutine where nobody can catch it, and a list of free
// pages that is wrong passes unnoticed until a later transaction writes over
// live pages, or makes the file grow to where a nonsense number points. So the
// file is read once, page by page, before bbolt may have it.
//
// Pages are as in bbolt's internal/common: numbers in the byte order of the
// machine, a header of 16 bytes before each run of pages.
const (
	pageHeader   = 16 // id 8, flags 2, count 2, overflow 4
	elementSize  = 16 // of a branch: pos 4, ksize 4, id 8; of a leaf: flags 4, pos 4, ksize 4, vsize 4
	bucketHeader = 16 // root 8, sequence 8

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	// What a leaf's elements are, by their flags: the file holds buckets, and
	// a bucket holds records.
	recordElement = 0x00
	bucketElement = 0x01

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64 // the last 8 are a checksum of what is before
	// firstPage is the first after the two heads.
	firstPage = 2
	// manyFree as a page's count says that the count is the first id.
	manyFree = 0xFFFF
	// noFreelist in place of the list's page says that it is not stored.
	noFreelist = ^uint64(0)

	minPageSize = 1 << 10
	maxPageSize = 1 << 24
)

var native = binary.NativeEndian

// A head is what one of the first two pages says of the others.
type head struct {
	pageSize int64
	root     uint64
	freelist uint64
	// pages is the number of pages in use and free, heads included.
	pages uint64
	txid  uint64
}

// verify returns why the content of a bbolt file makes no sense, if so.
func verify(r io.ReaderAt, size int64) error {
	h, err := readHead(r)
	if err != nil {
		return err
	}
	if have := size / h.pageSize; uint64(have) < h.pages {
		return fmt.Errorf("%w: it has %d of %d pages", ErrDamaged, have, h.pages)
	}
	v := &verifier{file: r, head: h, used: make([]bool, h.pages)}
	if err := v.tree(h.root, bucketElement, nil, nil); err != nil {
		return err
	}
	if h.freelist == noFreelist {
		return nil
	}
	return v.free()
}

// readHead returns the newest of the two heads that is whole: an interrupted
// commit may have torn one.
func readHead(r io.ReaderAt) (head, error) {
	var newest head
	first, ok := parseHead(r, 0)
	if ok {
		newest = first
	}
	// Where the first is not whole, only the second itself says where it is.
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		if ok && size != first.pageSize {
			continue
		}
		if h, whole := parseHead(r, size); whole && h.pageSize == size && h.txid >= newest.txid {
			newest = h
		}
	}
	if newest.pageSize == 0 {
		return head{}, fmt.Errorf("%w: it does not begin as a database does", ErrDamaged)
	}
	return newest, nil
}

func parseHead(r io.ReaderAt, offset int64) (head, bool) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := r.ReadAt(b, offset); err != nil {
		return head{}, false
	}
	b = b[pageHeader:]
	h := head{
		pageSize: int64(native.Uint32(b[8:])),
		root:     native.Uint64(b[16:]), // then the root's sequence
		freelist: native.Uint64(b[32:]),
		pages:    native.Uint64(b[40:]),
		txid:     native.Uint64(b[48:]),
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	whole := native.Uint32(b) == metaMagic && native.Uint32(b[4:]) == metaVersion &&
		sum.Sum64() == native.Uint64(b[metaSize-8:]) &&
		h.pageSize >= minPageSize && h.pageSize <= maxPageSize && h.pageSize&(h.pageSize-1) == 0
	return h, whole
}

// A verifier walks the pages of one file.
type verifier struct {
	file io.ReaderAt
	head head
	// used are the pages that something refers to.
	used []bool
}

// A page is a run of pages with one header.
type page struct {
	id    uint64
	flags uint16
	count int
	body  []byte // header included: positions count from within it
}

// read returns the run of pages that begins at id, and notes that it is in use.
func (v *verifier) read(id uint64) (page, error) {
	if id < firstPage || id >= v.head.pages {
		return page{}, fmt.Errorf("%w: a page is number %d of %d", ErrDamaged, id, v.head.pages)
	}
	b := make([]byte, v.head.pageSize)
	if _, err := v.file.ReadAt(b, int64(id)*v.head.pageSize); err != nil {
		return page{}, fmt.Errorf("read page %d: %w", id, err)
	}
	p := page{id: native.Uint64(b), flags: native.Uint16(b[8:]), count: int(native.Uint16(b[10:]))}
	more := uint64(native.Uint32(b[12:]))
	if p.id != id || more >= v.head.pages-id {
		return page{}, fmt.Errorf("%w: page %d says that it is number %d and %d more", ErrDamaged, id, p.id, more)
	}
	for i := id; i <= id+more; i++ {
		if v.used[i] {
			return page{}, fmt.Errorf("%w: page %d is used twice", ErrDamaged, i)
		}
		v.used[i] = true
	}
	p.body = b
	if more > 0 {
		p.body = make([]byte, (more+1)*uint64(v.head.pageSize))
		if _, err := v.file.ReadAt(p.body, int64(id)*v.head.pageSize); err != nil {
			return page{}, fmt.Errorf("read page %d: %w", id, err)
		}
	}
	return p, nil
}

// tree verifies the pages below id, whose leaves have elements of that kind.
// Their keys are not less than low and less than high; nil is no limit.
func (v *verifier) tree(id uint64, kind uint32, low, high []byte) error {
	p, err := v.read(id)
	if err != nil {
		return err
	}
	switch p.flags {
	case leafPage:
		return v.leaf(p, kind, low, high)
	case branchPage:
		return v.branch(p, kind, low, high)
	}
	return fmt.Errorf("%w: page %d has flags %#x", ErrDamaged, id, p.flags)
}

func (v *verifier) branch(p page, kind uint32, low, high []byte) error {
	if p.count == 0 {
		return fmt.Errorf("%w: page %d leads nowhere", ErrDamaged, p.id)
	}
	keys := make([][]byte, p.count)
	for i := range keys {
		e, err := p.element(i)
		if err == nil {
			keys[i], _, err = p.slices(i, native.Uint32(e), native.Uint32(e[4:]), 0)
		}
		if err != nil {
			return err
		}
	}
	if err := p.checkOrder(keys, low, high); err != nil {
		return err
	}
	for i, key := range keys {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if err := v.tree(native.Uint64(e[8:]), kind, key, next); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) leaf(p page, kind uint32, low, high []byte) error {
	keys := make([][]byte, p.count)
	for i := range keys {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		var value []byte
		keys[i], value, err = p.slices(i, native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:]))
		if err != nil {
			return err
		}
		if native.Uint32(e) != kind {
			// bbolt would find no bucket of this name, and that is an empty one.
			return fmt.Errorf("%w: element %d of page %d has flags %#x", ErrDamaged, i, p.id, native.Uint32(e))
		}
		if kind == recordElement {
			continue
		}
		if err := v.bucket(p.id, value); err != nil {
			return err
		}
	}
	return p.checkOrder(keys, low, high)
}

// bucket verifies a bucket: small ones are a page within the value.
func (v *verifier) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%w: a bucket on page %d has %d bytes", ErrDamaged, id, len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return v.tree(root, recordElement, nil, nil)
	}
	b := value[bucketHeader:]
	if len(b) < pageHeader || native.Uint16(b[8:]) != leafPage {
		return fmt.Errorf("%w: a bucket on page %d is no page", ErrDamaged, id)
	}
	return v.leaf(page{id: id, flags: leafPage, count: int(native.Uint16(b[10:])), body: b}, recordElement, nil, nil)
}

// element returns the fixed part of element i.
func (p page) element(i int) ([]byte, error) {
	at := pageHeader + i*elementSize
	if at+elementSize > len(p.body) {
		return nil, fmt.Errorf("%w: page %d has no room for %d elements", ErrDamaged, p.id, p.count)
	}
	return p.body[at : at+elementSize], nil
}

// slices returns the key and the value of element i, at pos from its fixed part.
func (p page) slices(i int, pos, keySize, valueSize uint32) (key, value []byte, err error) {
	at := uint64(pageHeader+i*elementSize) + uint64(pos)
	end := at + uint64(keySize) + uint64(valueSize)
	if end > uint64(len(p.body)) {
		return nil, nil, fmt.Errorf("%w: element %d of page %d ends beyond it", ErrDamaged, i, p.id)
	}
	return p.body[at : at+uint64(keySize)], p.body[at+uint64(keySize) : end], nil
}

// checkOrder wants keys that grow, from low on and below high, and none empty.
func (p page) checkOrder(keys [][]byte, low, high []byte) error {
	for i, key := range keys {
		switch {
		case len(key) == 0,
			i == 0 && bytes.Compare(key, low) < 0,
			i > 0 && bytes.Compare(key, keys[i-1]) <= 0,
			high != nil && bytes.Compare(key, high) >= 0:
			return fmt.Errorf("%w: key %d of page %d is out of order", ErrDamaged, i, p.id)
		}
	}
	return nil
}

// free verifies the list of free pages: each is a page of the file that nothing
// else uses.
func (v *verifier) free() error {
	p, err := v.read(v.head.freelist)
	if err != nil {
		return err
	}
	if p.flags != freelistPage {
		return fmt.Errorf("%w: page %d has flags %#x, not those of the free pages", ErrDamaged, p.id, p.flags)
	}
	list := p.body[pageHeader:]
	count := uint64(p.count)
	if p.count == manyFree {
		count, list = native.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return fmt.Errorf("%w: %d pages are free, listed are %d", ErrDamaged, count, len(list)/8)
	}
	for i := range count {
		id := native.Uint64(list[8*i:])
		switch {
		case id < firstPage, id >= v.head.pages:
			return fmt.Errorf("%w: free page %d is none of its %d pages", ErrDamaged, id, v.head.pages)
		case v.used[id]:
			return fmt.Errorf("%w: page %d is free and used, or free twice", ErrDamaged, id)
		}
		v.used[id] = true
	}
	return nil
}
