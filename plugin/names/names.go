// Package names tells what Docker calls networks and containers, for people
// who read a status.
package names

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
)

const (
	// Patience is how long a status waits for names.
	Patience = 500 * time.Millisecond
	// asked is how many questions are under way at a time.
	asked = 8
)

// Docker lists networks and their endpoints.
type Docker interface {
	Networks(ctx context.Context) ([]engine.Network, error)
	Endpoints(ctx context.Context, network string) ([]engine.Endpoint, error)
}

// Add writes into s the names that Docker tells before ctx ends. Those that it
// does not tell stay empty: nobody who asks what is wrong wants to wait for
// Docker, or hear that it is down.
func Add(ctx context.Context, docker Docker, s *admin.Status) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	name := make(map[string]string)
	var questions errgroup.Group
	questions.SetLimit(asked)
	questions.Go(func() error {
		networks, err := docker.Networks(ctx)
		if err != nil {
			cancel() // Docker is down, and the other questions are in vain.
		}
		mu.Lock()
		defer mu.Unlock()
		for _, n := range networks {
			name[n.ID] = n.Name
		}
		return err
	})
	for _, n := range s.Networks {
		if ctx.Err() != nil {
			break
		}
		questions.Go(func() error {
			endpoints, err := docker.Endpoints(ctx, n.ID)
			mu.Lock()
			defer mu.Unlock()
			for _, e := range endpoints {
				name[e.ID] = e.Name
			}
			return err
		})
	}
	_ = questions.Wait() // What was answered is of use without the rest.
	for i, n := range s.Networks {
		s.Networks[i].Name = name[n.ID]
	}
	for i, e := range s.Endpoints {
		s.Endpoints[i].Name = name[e.ID]
	}
}
