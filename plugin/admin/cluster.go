package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/ndp6/ndp6/plugin/cluster"
)

const (
	claimsPath = "/claims"
	reapPath   = "/claims/reap"
	hostKey    = "host"
)

// A Cluster knows who has which block.
type Cluster interface {
	Claims(ctx context.Context) ([]cluster.Claimed, error)
	Reap(ctx context.Context, host string) ([]netip.Prefix, error)
}

// ErrAlone is the answer of a host on its own.
var ErrAlone = errors.New("this host shares no prefixes with others: ndp6 serve was given no --etcd (NDP6_ETCD)")

// Claims are all claims, as ndp6 claims shows them.
type Claims struct {
	Claims []cluster.Claimed `json:"claims"`
}

// Reaped are blocks that are free now.
type Reaped struct {
	Freed []netip.Prefix `json:"freed"`
}

func (s *Server) claims(w http.ResponseWriter, r *http.Request) {
	reply(w, r, func(ctx context.Context) (any, error) {
		if s.Cluster == nil {
			return nil, ErrAlone
		}
		all, err := s.Cluster.Claims(ctx)
		if all == nil {
			all = []cluster.Claimed{}
		}
		return Claims{Claims: all}, err
	})
}

func (s *Server) reap(w http.ResponseWriter, r *http.Request) {
	reply(w, r, func(ctx context.Context) (any, error) {
		if s.Cluster == nil {
			return nil, ErrAlone
		}
		freed, err := s.Cluster.Reap(ctx, r.URL.Query().Get(hostKey))
		if freed == nil {
			freed = []netip.Prefix{}
		}
		return Reaped{Freed: freed}, err
	})
}

// GetClaims asks the ndp6 with this state directory for all claims in etcd.
func GetClaims(ctx context.Context, stateDir string) (Claims, error) {
	var c Claims
	err := ask(ctx, stateDir, http.MethodGet, claimsPath, &c)
	return c, err
}

// Reap has the ndp6 with this state directory free the claims of a host.
func Reap(ctx context.Context, stateDir, host string) (Reaped, error) {
	var r Reaped
	err := ask(ctx, stateDir, http.MethodPost, reapPath+"?"+url.Values{hostKey: {host}}.Encode(), &r)
	return r, err
}
