package names_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/names"
)

// docker answers for networks by their ids; those that it does not know take
// until the context ends.
type docker map[string][]engine.Endpoint

func (d docker) Networks(ctx context.Context) ([]engine.Network, error) {
	if len(d) == 0 {
		return nil, errors.New("down")
	}
	return []engine.Network{{ID: "n1", Name: "web"}, {ID: "n2", Name: "db"}, {ID: "other", Name: "bridge"}}, ctx.Err()
}

func (d docker) Endpoints(ctx context.Context, network string) ([]engine.Endpoint, error) {
	if endpoints, ok := d[network]; ok {
		return endpoints, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAdd(t *testing.T) {
	one, two := []engine.Endpoint{{ID: "e1", Name: "www"}, {ID: "e9", Name: "gone"}}, []engine.Endpoint{{ID: "e2", Name: "pg"}}
	tests := []struct {
		name   string
		docker docker
		want   string
		took   time.Duration
	}{
		{name: "all", docker: docker{"n1": one, "n2": two}, want: "n1=web n2=db e1=www e2=pg"},
		{name: "one network hangs", docker: docker{"n1": one}, want: "n1=web n2=db e1=www e2=", took: names.Patience},
		{name: "down", want: "n1= n2= e1= e2="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := admin.Status{Status: driver.Status{
					Networks:  []driver.NetworkStatus{{ID: "n1"}, {ID: "n2"}},
					Endpoints: []driver.EndpointStatus{{ID: "e1"}, {ID: "e2"}},
				}}
				ctx, cancel := context.WithTimeout(t.Context(), names.Patience)
				defer cancel()
				start := time.Now()
				names.Add(ctx, tt.docker, &s)
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				var got []string
				for _, n := range s.Networks {
					got = append(got, n.ID+"="+n.Name)
				}
				for _, e := range s.Endpoints {
					got = append(got, e.ID+"="+e.Name)
				}
				if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
					t.Errorf("names (-want +got):\n%s", diff)
				}
			})
		})
	}
}
