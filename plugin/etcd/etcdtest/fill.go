package etcdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// opsOfTxn is how many operations etcd takes in a transaction.
const opsOfTxn = 128

// Fill writes what that many hosts would, each with that many blocks of base,
// one after the other from the second on, and all with that next hop. Their
// leases end after an hour.
func Fill(ctx context.Context, client *etcd.Client, base netip.Prefix, hosts, blocks int, nextHop netip.Addr) error {
	var txn etcd.Txn
	flush := func() error {
		_, err := client.Do(ctx, txn)
		txn.Then = nil
		return err
	}
	put := func(key string, v any, lease int64) error {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		txn.Then = append(txn.Then, etcd.Put(key, value, lease))
		if len(txn.Then) < opsOfTxn {
			return nil
		}
		return flush()
	}
	index := uint64(1)
	for i := range hosts {
		h := claim.Hello{Host: fmt.Sprintf("peer%04d", i), BootID: "b", NextHop: nextHop}
		for range blocks {
			c := claim.Claim{Prefix: inet.Subnet(base, 80, index), Host: h.Host, Base: base, Since: time.Unix(0, 0).UTC()}
			index++
			h.Prefixes = append(h.Prefixes, c.Prefix)
			if err := put(claim.Key(c.Prefix), c, 0); err != nil {
				return err
			}
			if err := put(claim.HostKey(h.Host, c.Prefix), nil, 0); err != nil {
				return err
			}
		}
		lease, err := client.Grant(ctx, time.Hour)
		if err != nil {
			return err
		}
		if err := put(claim.HelloKey(h.Host), h, lease); err != nil {
			return err
		}
	}
	return flush()
}
