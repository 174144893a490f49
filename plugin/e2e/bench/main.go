// Command bench measures what ndp6 costs and saves beside Docker's own bridge,
// in the same run:
//
//	start   the first ping from the router after `docker run` returned, and
//	        the network's share of the start time of a container
//	path    how fast streams, packets, requests and connections reach a
//	        published port, also without any rule
//	update  how long the firewall takes to let a container in and to forget
//	        it, beside others
//
// It needs root.
//
//	bench [-parts start,path,update] [-short] [-rounds 50] [-versions 28.5]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == load.Command {
		exit(load.Main(os.Stdin, os.Stdout))
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/ndp6", "the plugin, as make build makes it")
	flag.StringVar(&o.parts, "parts", "start,path,update", "what to measure, separated by commas")
	flag.BoolVar(&o.short, "short", false, "measure less, to see that it works")
	flag.IntVar(&o.rounds, "rounds", 50, "containers for each figure of start")
	flag.StringVar(&o.versions, "versions", "", "Docker versions of start, separated by commas; empty means all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Stdout, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are the flags.
type options struct {
	binary, parts, versions string
	short                   bool
	rounds                  int
}

// run measures one part after the other.
func run(ctx context.Context, w io.Writer, o options) error {
	pathRounds, pathTime := 30, 80*time.Millisecond
	if o.short {
		o.rounds = min(o.rounds, 5)
		pathRounds, pathTime = 3, 100*time.Millisecond
	}
	parts := map[string]func() error{
		"start":  func() error { return measureStarts(ctx, w, o.binary, o.rounds, o.versions) },
		"path":   func() error { return measurePaths(ctx, w, pathRounds, pathTime) },
		"update": func() error { return measureUpdates(ctx, w, o.rounds) },
	}
	asked := strings.Split(o.parts, ",")
	for _, part := range asked {
		if parts[part] == nil {
			return fmt.Errorf("no part %q", part)
		}
	}
	for _, part := range []string{"start", "path", "update"} {
		if !slices.Contains(asked, part) {
			continue
		}
		if err := parts[part](); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}
