package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Grant makes a lease that ends ttl after it was kept last.
func (c *Client) Grant(ctx context.Context, ttl time.Duration) (lease int64, err error) {
	var answer struct {
		ID    int64  `json:"ID,string"`
		Error string `json:"error"`
	}
	request := map[string]string{"TTL": fmt.Sprint(int64(ttl.Seconds()))}
	if err := c.ask(ctx, "/v3/lease/grant", request, &answer); err != nil {
		return 0, err
	}
	if answer.ID == 0 {
		return 0, fmt.Errorf("ask etcd: no lease granted: %s", answer.Error)
	}
	return answer.ID, nil
}

// Keep has a lease begin again. ErrLease says that it has ended.
func (c *Client) Keep(ctx context.Context, lease int64) error {
	var answer struct {
		Result struct {
			TTL int64 `json:"TTL,string"`
		} `json:"result"`
		Error *failure `json:"error"`
	}
	if err := c.ask(ctx, "/v3/lease/keepalive", map[string]string{"ID": fmt.Sprint(lease)}, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("ask etcd: %w", answer.Error.err(c.user))
	}
	if answer.Result.TTL <= 0 {
		return fmt.Errorf("ask etcd: %w", ErrLease)
	}
	return nil
}

// Revoke ends a lease now. It succeeds if the lease has ended.
func (c *Client) Revoke(ctx context.Context, lease int64) error {
	err := c.ask(ctx, "/v3/lease/revoke", map[string]string{"ID": fmt.Sprint(lease)}, new(struct{}))
	if errors.Is(err, ErrLease) {
		return nil
	}
	return err
}
