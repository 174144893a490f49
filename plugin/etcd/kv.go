package etcd

import (
	"context"
	"encoding/json"
	"fmt"
)

// A KV is a key with its value.
type KV struct {
	Key            Text   `json:"key"`
	Value          []byte `json:"value"`
	CreateRevision int64  `json:"create_revision,string"`
	ModRevision    int64  `json:"mod_revision,string"`
	Lease          int64  `json:"lease,string"`
}

// Text is a string, which etcd's JSON has in base64.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(t)) }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var v []byte
	err := json.Unmarshal(b, &v)
	*t = Text(v)
	return err
}

// A Compare is a condition on a key, or on all keys up to End.
type Compare struct {
	key, end Text
	target   string
	revision int64
}

// Absent holds where no key is there from first up to, and without, end; of
// first alone where end is empty.
func Absent(first, end string) Compare {
	return Compare{key: Text(first), end: Text(end), target: "CREATE"}
}

// Unchanged holds where a key is as it was at that KV.ModRevision.
func Unchanged(key string, revision int64) Compare {
	return Compare{key: Text(key), target: "MOD", revision: revision}
}

// MarshalJSON implements json.Marshaler.
func (c Compare) MarshalJSON() ([]byte, error) {
	m := map[string]any{"target": c.target, "result": "EQUAL", "key": c.key}
	if c.end != "" {
		m["range_end"] = c.end
	}
	field := map[string]string{"CREATE": "create_revision", "MOD": "mod_revision"}[c.target]
	m[field] = fmt.Sprint(c.revision)
	return json.Marshal(m)
}

// An Op is a part of a transaction.
type Op struct {
	verb     string
	key, end Text
	value    []byte
	lease    int64
}

// Put writes a key. With a lease other than 0 it goes when the lease ends.
func Put(key string, value []byte, lease int64) Op {
	return Op{verb: "request_put", key: Text(key), value: value, lease: lease}
}

// Delete deletes a key.
func Delete(key string) Op { return Op{verb: "request_delete_range", key: Text(key)} }

// Get reads a key, or all from key up to, and without, end.
func Get(key, end string) Op { return Op{verb: "request_range", key: Text(key), end: Text(end)} }

// MarshalJSON implements json.Marshaler.
func (o Op) MarshalJSON() ([]byte, error) {
	m := map[string]any{"key": o.key}
	if o.end != "" {
		m["range_end"] = o.end
	}
	if o.verb == "request_put" {
		m["value"] = o.value
		m["lease"] = fmt.Sprint(o.lease)
	}
	return json.Marshal(map[string]any{o.verb: m})
}

// A Txn does Then where all of If hold, else Else. It may have 128 of each.
type Txn struct {
	If         []Compare
	Then, Else []Op
}

// header is in every answer.
type header struct {
	Revision int64 `json:"revision,string"`
}

// A Result is what came of a Txn.
type Result struct {
	// OK is whether all of If held.
	OK bool
	// Found are the keys that each Get read, in their order.
	Found [][]KV
}

// Do carries out a transaction. Where the answer was lost it is done twice: that
// must do no harm.
func (c *Client) Do(ctx context.Context, t Txn) (Result, error) {
	request := map[string]any{"compare": t.If, "success": t.Then, "failure": t.Else}
	var answer struct {
		Succeeded bool `json:"succeeded"`
		Responses []struct {
			Range *struct {
				KVs []KV `json:"kvs"`
			} `json:"response_range"`
		} `json:"responses"`
	}
	if err := c.ask(ctx, "/v3/kv/txn", request, &answer); err != nil {
		return Result{}, err
	}
	r := Result{OK: answer.Succeeded}
	for _, part := range answer.Responses {
		if part.Range != nil {
			r.Found = append(r.Found, part.Range.KVs)
		}
	}
	return r, nil
}

// page is how many keys one answer has: the gateway takes 20 µs for each, and a
// busy one should be done within patience.
const page = 2000

// Range calls f for each key from first up to, and without, end, all as they
// were at the revision that it returns. With keysOnly the values are empty.
func (c *Client) Range(ctx context.Context, first, end string, keysOnly bool, f func(KV)) (revision int64, err error) {
	for {
		answer, err := c.page(ctx, first, end, page, revision, keysOnly)
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision = answer.Header.Revision
		}
		for _, kv := range answer.KVs {
			f(kv)
		}
		if !answer.More || len(answer.KVs) == 0 {
			return revision, nil
		}
		first = string(answer.KVs[len(answer.KVs)-1].Key) + "\x00"
	}
}

// Some calls f for the first keys of a Range, at most limit, without values.
func (c *Client) Some(ctx context.Context, first, end string, limit int, f func(KV)) error {
	answer, err := c.page(ctx, first, end, limit, 0, true)
	for _, kv := range answer.KVs {
		f(kv)
	}
	return err
}

type found struct {
	Header header `json:"header"`
	KVs    []KV   `json:"kvs"`
	More   bool   `json:"more"`
}

func (c *Client) page(ctx context.Context, first, end string, limit int, revision int64, keysOnly bool) (answer found, err error) {
	err = c.ask(ctx, "/v3/kv/range", map[string]any{
		"key": Text(first), "range_end": Text(end), "limit": fmt.Sprint(limit),
		"revision": fmt.Sprint(revision), "keys_only": keysOnly,
	}, &answer)
	return answer, err
}

// After is the end of the range of all keys that begin with prefix.
func After(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]++ // No key of ours ends in 0xff.
	return string(b)
}
