package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/wire"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ndp6": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			// A socket's path must be short, which the script's directory is not.
			dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("RUN", dir)
			return nil
		},
		Condition: netnsCondition,
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"await": await, "answer": answer, "docker": docker},
	})
}

// netnsCondition is true where a script may run commands in a private network
// namespace, with unshare -n.
func netnsCondition(cond string) (bool, error) {
	if cond != "netns" {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	err := exec.Command("unshare", "-n", "true").Run()
	if err != nil && os.Getenv("NDP6_REQUIRE_NETNS") == "1" {
		return false, fmt.Errorf("make a network namespace: %w", err)
	}
	return err == nil, nil
}

// await returns as soon as a file is there.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await file")
	}
	path := ts.MkAbs(args[0])
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Since(start) > 20*time.Second {
			ts.Fatalf("%s is still not there", path)
		}
	}
}

// answer serves the status in a file, as an ndp6 with this state directory
// would, until the script ends. With a second file it knows those claims.
func answer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: answer state-dir status.json [claims.json]")
	}
	var status admin.Status
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &status))
	l, err := wire.Listen(admin.Socket(args[0]))
	ts.Check(err)
	server := admin.Server{
		Log:    slog.New(slog.DiscardHandler),
		Status: func(context.Context) (admin.Status, error) { return status, nil },
	}
	if len(args) == 3 {
		var known claims
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &known))
		server.Cluster = known
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, l) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-done)
	})
}

// claims are those in a file.
type claims []cluster.Claimed

// Claims implements admin.Cluster.
func (c claims) Claims(context.Context) ([]cluster.Claimed, error) { return c, nil }

// Reap implements admin.Cluster.
func (c claims) Reap(_ context.Context, host string) (freed []netip.Prefix, err error) {
	for _, one := range c {
		switch {
		case one.Host == host && one.Alive:
			return nil, errors.New("it is alive")
		case one.Host == host:
			freed = append(freed, one.Prefix)
		}
	}
	return freed, nil
}

// docker serves the answers in a file, by their paths, as a daemon's socket
// would, until the script ends. Other questions have no answer at all.
func docker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: docker socket answers.json")
	}
	var answers map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &answers))
	l, err := wire.Listen(args[0])
	ts.Check(err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		if !ok {
			<-r.Context().Done()
		}
		_, _ = w.Write(body)
	}))
	server.Listener = l
	server.Start()
	ts.Defer(server.Close)
}
