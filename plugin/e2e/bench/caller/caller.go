// Package caller makes the calls to a plugin that dockerd makes for containers,
// and times them, without a dockerd.
package caller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Caller is a client of one plugin. Its methods may be called from any goroutine.
type Caller struct{ client http.Client }

// New makes one that calls the socket at path, on as many connections as are
// used at once, and keeps them, as dockerd does.
func New(path string) *Caller {
	return &Caller{http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

// Close closes the connections.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// call makes one call. The answer goes to resp, if that is not nil.
func (c *Caller) call(ctx context.Context, method string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", method, err)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", method, answer.Status, strings.TrimSpace(string(text)))
	case resp == nil:
		return nil
	}
	if err := json.Unmarshal(text, resp); err != nil {
		return fmt.Errorf("%s: answer %s: %w", method, text, err)
	}
	return nil
}
