package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

func TestMain(m *testing.M) { os.Exit(etcdtest.Main(m)) }

func newClient(t *testing.T, c etcd.Config) *etcd.Client {
	t.Helper()
	client, err := etcd.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func do(t *testing.T, c *etcd.Client, txn etcd.Txn) etcd.Result {
	t.Helper()
	r, err := c.Do(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	c := newClient(t, etcd.Config{Endpoints: []string{etcdtest.Start(t).URL}})
	value := []byte{0, '"', 0xff}
	first := etcd.Txn{
		If:   []etcd.Compare{etcd.Absent("a/", "a0")},
		Then: []etcd.Op{etcd.Put("a/1", value, 0), etcd.Put("b/1", nil, 0)},
		Else: []etcd.Op{etcd.Get("a/", "a0"), etcd.Get("c", "")},
	}
	if r := do(t, c, first); !r.OK || len(r.Found) != 0 {
		t.Errorf("first: %+v", r)
	}
	r := do(t, c, first)
	if r.OK || len(r.Found) != 2 || len(r.Found[0]) != 1 || len(r.Found[1]) != 0 {
		t.Fatalf("again: %+v", r)
	}
	kv := r.Found[0][0]
	if kv.Key != "a/1" || string(kv.Value) != string(value) || kv.CreateRevision != kv.ModRevision || kv.Lease != 0 {
		t.Errorf("read %+v", kv)
	}
	change := func(revision int64) etcd.Txn {
		return etcd.Txn{If: []etcd.Compare{etcd.Unchanged("a/1", revision)}, Then: []etcd.Op{etcd.Put("a/1", []byte("x"), 0)}}
	}
	if !do(t, c, change(kv.ModRevision)).OK || do(t, c, change(kv.ModRevision)).OK {
		t.Error("a change of what is unchanged is done once")
	}
	if !do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Delete("a/1")}}).OK || !do(t, c, first).OK {
		t.Error("what is deleted is still there")
	}
}

func TestRangeReadsAllPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, etcd.Config{Endpoints: []string{etcdtest.Start(t).URL}})
	const keys = 4100
	for i := 0; i < keys; {
		var txn etcd.Txn
		for range 100 {
			txn.Then = append(txn.Then, etcd.Put(fmt.Sprintf("k/%05d", i), []byte("v"), 0))
			i++
		}
		do(t, c, txn)
	}
	for _, keysOnly := range []bool{true, false} {
		n := 0
		revision, err := c.Range(t.Context(), "k/", etcd.After("k/"), keysOnly, func(kv etcd.KV) {
			if want := fmt.Sprintf("k/%05d", n); string(kv.Key) != want || (len(kv.Value) == 0) != keysOnly {
				t.Fatalf("key %d: %+v", n, kv)
			}
			n++
		})
		if err != nil || n != keys || revision < keys/100 {
			t.Errorf("%d keys at revision %d: %v", n, revision, err)
		}
	}
	n := 0
	if err := c.Some(t.Context(), "k/00005", "k0", 7, func(kv etcd.KV) {
		if want := fmt.Sprintf("k/%05d", n+5); string(kv.Key) != want {
			t.Errorf("key %d: %+v", n, kv)
		}
		n++
	}); err != nil || n != 7 {
		t.Errorf("%d keys, want 7: %v", n, err)
	}
}

func TestLeases(t *testing.T) {
	t.Parallel()
	c := newClient(t, etcd.Config{Endpoints: []string{etcdtest.Start(t).URL}})
	lease, err := c.Grant(t.Context(), 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, lease)}})
	if err := c.Keep(t.Context(), lease); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := c.Revoke(t.Context(), lease); err != nil {
			t.Error(err)
		}
	}
	if err := c.Keep(t.Context(), lease); !errors.Is(err, etcd.ErrLease) {
		t.Errorf("a lease that was revoked is kept: %v", err)
	}
	if r := do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Get("a", "")}}); len(r.Found[0]) != 0 {
		t.Errorf("a key outlives its lease: %+v", r)
	}
	r, err := c.Do(t.Context(), etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, lease)}})
	if !errors.Is(err, etcd.ErrLease) {
		t.Errorf("a key is put with a lease that ended: %+v, %v", r, err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c := newClient(t, etcd.Config{Endpoints: []string{server.URL}})
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("k/0", nil, 0)}})
	revision, err := c.Range(t.Context(), "k/", "k0", true, func(etcd.KV) {})
	if err != nil {
		t.Fatal(err)
	}
	events, ended := make(chan etcd.Event), make(chan error, 1)
	go func() {
		ended <- c.Watch(t.Context(), "k/", "k0", revision+1, func(es []etcd.Event) {
			for _, e := range es {
				events <- e
			}
		})
	}()
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("k/1", []byte("v"), 0), etcd.Put("other", nil, 0)}})
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Delete("k/0")}})
	var got []string
	for range 2 {
		e := <-events
		got = append(got, fmt.Sprintf("%s %q %t", e.Key, e.Value, e.Deleted))
	}
	if diff := cmp.Diff([]string{`k/1 "v" false`, `k/0 "" true`}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	server.Kill()
	if err := <-ended; !errors.Is(err, etcd.ErrAway) {
		t.Errorf("watch of an etcd that is killed ends with %v", err)
	}

	server.Restart(t)
	server.Call(t, "/v3/kv/compaction", map[string]any{"revision": fmt.Sprint(revision + 1), "physical": true})
	if err := c.Watch(t.Context(), "k/", "k0", revision, func([]etcd.Event) {}); !errors.Is(err, etcd.ErrCompacted) {
		t.Errorf("watch of what is compacted ends with %v", err)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newClient(t, etcd.Config{Endpoints: []string{etcdtest.Start(t).URL}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	began := make(chan struct{})
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("k", nil, 0)}})
	go func() {
		ended <- c.Watch(ctx, "k", "", 1, func([]etcd.Event) { close(began) })
	}()
	<-began
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v", err)
	}
}

// A watch of a member that answers no more, or has lost the others, is begun
// elsewhere. Its members would keep other tests waiting: it is not parallel.
func TestWatchEndsWithItsMember(t *testing.T) {
	local := etcdtest.Place{Host: "127.0.0.1"}
	members := etcdtest.StartMembers(t, local, local, local)
	var urls []string
	for _, m := range members {
		urls = append(urls, m.URL)
	}
	watch := func(c *etcd.Client) <-chan error {
		ended, began := make(chan error, 1), make(chan struct{})
		do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("k", nil, 0)}})
		go func() {
			ended <- c.Watch(t.Context(), "k", "", 1, func([]etcd.Event) {
				select {
				case <-began:
				default:
					close(began)
				}
			})
		}()
		<-began
		return ended
	}
	c := newClient(t, etcd.Config{Endpoints: urls})
	ended := watch(c)
	members[0].Signal(t, syscall.SIGSTOP)
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("k", nil, 0)}})
	if err := <-ended; !errors.Is(err, etcd.ErrAway) || !strings.Contains(err.Error(), "another endpoint answers now") {
		t.Errorf("watch of a member that answers no more ends with %v", err)
	}
	members[0].Signal(t, syscall.SIGCONT)
	members[0].Ready(t)

	ended = watch(newClient(t, etcd.Config{Endpoints: urls[:1]}))
	members[1].Kill()
	members[2].Kill()
	if err := <-ended; !errors.Is(err, etcd.ErrAway) || !strings.Contains(err.Error(), "no leader") {
		t.Errorf("watch of a member that has lost the others ends with %v", err)
	}
}

// One endpoint refuses, one does not answer, one is the etcd.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	server := etcdtest.Start(t)
	c := newClient(t, etcd.Config{Endpoints: []string{"http://127.0.0.1:1", "http://" + silent.Addr().String(), server.URL}})
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}})
	begin := time.Now()
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}})
	if d := time.Since(begin); d > time.Second {
		t.Errorf("the endpoint that answered last is asked after %s", d)
	}

	server.Signal(t, syscall.SIGSTOP)
	defer server.Signal(t, syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = c.Do(ctx, etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}})
	if !errors.Is(err, etcd.ErrAway) {
		t.Errorf("etcd is stopped: %v", err)
	}
	if c.Failures() != 1 {
		t.Errorf("%d failures", c.Failures())
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t, "--auth-token-ttl=1")
	const secret = "correct horse"
	for _, call := range []struct {
		path    string
		request map[string]any
	}{
		{"/v3/auth/role/add", map[string]any{"name": "root"}},
		{"/v3/auth/user/add", map[string]any{"name": "root", "password": "r"}},
		{"/v3/auth/user/grant", map[string]any{"user": "root", "role": "root"}},
		{"/v3/auth/role/add", map[string]any{"name": "ndp6"}},
		{"/v3/auth/role/grant", map[string]any{"name": "ndp6", "perm": map[string]any{
			"permType": "READWRITE", "key": []byte("/ndp6/"), "range_end": []byte("/ndp60"),
		}}},
		{"/v3/auth/user/add", map[string]any{"name": "box", "password": secret}},
		{"/v3/auth/user/grant", map[string]any{"user": "box", "role": "ndp6"}},
		{"/v3/auth/enable", nil},
	} {
		server.Call(t, call.path, call.request)
	}
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := func(user, key string) error {
		c := newClient(t, etcd.Config{Endpoints: []string{server.URL}, User: user, PasswordFile: file})
		_, err := c.Do(t.Context(), etcd.Txn{Then: []etcd.Op{etcd.Put(key, nil, 0)}})
		return err
	}
	write(secret + "\n")
	if err := put("box", "/ndp6/v1/a"); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ name, user, password, key, want string }{
		{"no user", "", secret, "/ndp6/v1/a", "give --etcd-user and --etcd-password-file"},
		{"wrong password", "box", "wrong hound", "/ndp6/v1/a", "give the right --etcd-user and --etcd-password-file"},
		{"keys of others", "box", secret, "/other", `grant user "box" readwrite`},
	} {
		write(test.password)
		err := put(test.user, test.key)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), test.password) {
			t.Errorf("%s: the password is in %q", test.name, err)
		}
	}

	// A token that is not used for its second ends: the client logs in again.
	write(secret)
	c := newClient(t, etcd.Config{Endpoints: []string{server.URL}, User: "box", PasswordFile: file})
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("/ndp6/v1/a", nil, 0)}})
	server.Kill() // It forgets tokens.
	server.Restart(t)
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("/ndp6/v1/a", nil, 0)}})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("/ndp6/v1/a", nil, 0)}})
}
