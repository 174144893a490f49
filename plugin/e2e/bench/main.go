// Command bench measures what ndp6 costs and saves beside Docker's own bridge
// and other ways to answer neighbor solicitations, in the same run. Each part
// answers one question; the list of parts is in parts.go.
//
//	bench [-parts start,path] [-short] [-rounds 20] [-versions 28.5] [-write docs/benchmarks]
//
// It needs root, and works in namespaces of its own.
package main

import (
	"context"
	"errors"
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
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == load.Command {
		exit(load.Main(os.Stdin, os.Stdout))
	}
	o := options{arguments: os.Args[1:]}
	flag.StringVar(&o.binary, "binary", "bin/ndp6", "the plugin, as make build makes it")
	flag.StringVar(&o.parts, "parts", strings.Join(names(), ","), "what to measure, separated by commas")
	flag.BoolVar(&o.short, "short", false, "measure less, to see that it works")
	flag.IntVar(&o.rounds, "rounds", 20, "containers for each figure of start and ping")
	flag.StringVar(&o.versions, "versions", "", "Docker versions of start, separated by commas; empty means all")
	flag.StringVar(&o.command, "responder-command", "", "another responder to put beside these in ping, nud and solicit, such as 'ndpresponder -i {link} -n {prefix}'")
	flag.StringVar(&o.write, "write", "", "the folder for the document, its charts and all figures; parts that are there and not measured now stay")
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
	arguments                      []string // as they were given
	binary, parts, versions, write string
	command                        string // of another responder
	short                          bool
	rounds                         int
}

// run measures one part after the other. One that cannot be measured keeps no
// other from it.
func run(ctx context.Context, w io.Writer, o options) error {
	asked := strings.Split(o.parts, ",")
	for _, name := range asked {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no part %q: use some of %s", name, strings.Join(names(), ","))
		}
	}
	if o.short {
		o.rounds = min(o.rounds, 3)
	}
	var done []page.Part
	var errs []error
	for _, p := range parts() {
		if !slices.Contains(asked, p.name) || ctx.Err() != nil {
			continue
		}
		start := time.Now()
		part, err := p.measured(ctx, o)
		if err == nil {
			err = part.Print(w)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		fmt.Fprintf(w, "(%s)\n", time.Since(start).Round(time.Second))
		done = append(done, part)
		if o.write != "" {
			errs = append(errs, write(o.write, done)) // What is measured is kept, whatever comes next.
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// write puts parts on the page in a folder.
func write(dir string, done []page.Part) error {
	p, err := page.Read(dir)
	if err != nil {
		return err
	}
	return p.With(names(), done...).Write(dir)
}
