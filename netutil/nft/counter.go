package nft

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Counter is what a named counter has counted.
type Counter struct{ Packets, Bytes uint64 }

// Counters returns the named counters of our tables by name. Where two tables
// have one of the same name it is the family, a space and the name.
func (c *Conn) Counters() (map[string]Counter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byFamily := make(map[Family]map[string]Counter)
	times := make(map[string]int)
	for _, f := range families() {
		counts, err := c.socket.counters(f)
		if err != nil {
			return nil, err
		}
		byFamily[f] = counts
		for name := range counts {
			times[name]++
		}
	}
	out := make(map[string]Counter)
	for f, counts := range byFamily {
		for name, count := range counts {
			if times[name] > 1 {
				name = string(f) + " " + name
			}
			out[name] = count
		}
	}
	return out, nil
}

func (s *socket) counters(f Family) (map[string]Counter, error) {
	out := make(map[string]Counter)
	err := s.request(unix.NFT_MSG_GETOBJ, unix.NLM_F_DUMP, f.number(), func(e *encoder) {
		e.string(unix.NFTA_OBJ_TABLE, Owner)
		e.uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
	}, func(_ uint16, b []byte) error {
		var table, name string
		var count Counter
		for t, v := range attrs(b) {
			switch t {
			case unix.NFTA_OBJ_TABLE:
				table = text(v)
			case unix.NFTA_OBJ_NAME:
				name = text(v)
			case unix.NFTA_OBJ_DATA:
				for t, v := range attrs(v) {
					switch t {
					case unix.NFTA_COUNTER_PACKETS:
						count.Packets = number64(v)
					case unix.NFTA_COUNTER_BYTES:
						count.Bytes = number64(v)
					}
				}
			}
		}
		if table == Owner {
			out[name] = count
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	return out, nil
}

// addCounter adds the message that makes a counter which counts on from count.
func addCounter(b *batch, family byte, name string, count Counter) {
	b.add(unix.NFT_MSG_NEWOBJ, unix.NLM_F_CREATE, family, "add counter "+name, func(e *encoder) {
		e.string(unix.NFTA_OBJ_TABLE, Owner)
		e.string(unix.NFTA_OBJ_NAME, name)
		e.uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
		data := e.open(unix.NFTA_OBJ_DATA)
		e.uint64(unix.NFTA_COUNTER_BYTES, count.Bytes)
		e.uint64(unix.NFTA_COUNTER_PACKETS, count.Packets)
		e.shut(data)
	})
}
