// Package etcd is a client of etcd, of version 3.4 and newer: transactions,
// ranges, leases and watches, with TLS, users, and several endpoints.
//
// It speaks the JSON gateway that every etcd serves beside gRPC. The official
// client brings gRPC and protocol buffers, which make the binary 4.7 MB larger
// than it may be; what ndp6 needs of etcd is six calls.
package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long one endpoint may take to answer before the next is
	// asked.
	patience = 2 * time.Second
	// maxAnswer is more than a page of a range has.
	maxAnswer = 64 << 20
)

// Config says where etcd is, and as whom to ask.
type Config struct {
	// Endpoints are URLs such as https://192.0.2.1:2379, at least one. All are
	// members of one cluster.
	Endpoints []string
	// CAFile has the certificates that sign etcd's, the host's own where it is empty.
	CAFile string
	// CertFile and KeyFile are ours, where etcd asks for one. They are read at
	// each connection, so that they can be replaced.
	CertFile, KeyFile string
	// User and PasswordFile are for an etcd with authentication. The file is
	// read at each login.
	User, PasswordFile string
}

// A Client asks one cluster. Its methods may be called at once. Make it with New.
type Client struct {
	endpoints []string
	user      string
	password  string // path of its file
	http      *http.Client

	failed atomic.Uint64

	mu      sync.Mutex
	current int           // index of the endpoint that answered last
	moved   chan struct{} // closed, and made anew, when another one does
	token   string
}

// New returns a Client that has not asked anything yet.
func New(c Config) (*Client, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("no endpoint of etcd: want one such as https://192.0.2.1:2379")
	}
	secure, err := newTLS(c)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{
		Timeout: patience,
		// A watch waits for ever: this tells that the other end is gone.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	client := &Client{
		user: c.User, password: c.PasswordFile, moved: make(chan struct{}),
		http: &http.Client{
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSClientConfig: secure, TLSHandshakeTimeout: patience,
				ResponseHeaderTimeout: patience,
				MaxIdleConnsPerHost:   2, IdleConnTimeout: time.Minute,
				// HTTP/2 on this port is for gRPC.
				TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, e := range c.Endpoints {
		client.endpoints = append(client.endpoints, strings.TrimSuffix(e, "/"))
	}
	return client, nil
}

func newTLS(c Config) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates that sign etcd's: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile == "" {
		return secure, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read our certificate %s and key %s: %w", c.CertFile, c.KeyFile, err)
		}
		return &cert, nil
	}
	secure.GetClientCertificate = load
	_, err := load(nil)
	return secure, err
}

// Failures counts the requests that no endpoint answered, or that etcd refused.
func (c *Client) Failures() uint64 { return c.failed.Load() }

// Close closes the connections that nobody uses.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// ask posts a request to one endpoint after the other, beginning with the one
// that answered last, and decodes the answer.
func (c *Client) ask(ctx context.Context, path string, request, answer any) error {
	var errs []error
	first, _ := c.endpoint()
	for i := range c.endpoints {
		at := (first + i) % len(c.endpoints)
		err := c.askOne(ctx, at, path, request, answer)
		if err == nil {
			c.answered(at)
			return nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !elsewhere(err) {
			break
		}
	}
	c.failed.Add(1)
	return fmt.Errorf("ask etcd: %w", errors.Join(errs...))
}

func (c *Client) askOne(ctx context.Context, at int, path string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := c.open(ctx, at, path, request)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("%s: read the answer to %s: %w", c.endpoints[at], path, unreachable{err})
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 4096)) // so that the connection is used again
	return nil
}

// open posts a request to an endpoint, logs in where it must, and returns the
// answer's body, for the caller to close.
func (c *Client) open(ctx context.Context, at int, path string, request any) (io.ReadCloser, error) {
	token, err := c.login(ctx, at, "")
	if err != nil {
		return nil, err
	}
	body, err := c.post(ctx, at, path, token, request)
	if errors.Is(err, errToken) && c.user != "" {
		if token, err = c.login(ctx, at, token); err != nil {
			return nil, err
		}
		body, err = c.post(ctx, at, path, token, request)
	}
	return body, err
}

// post sends one request. What goes wrong is told with the endpoint, and never
// with what was sent.
func (c *Client) post(ctx context.Context, at int, path, token string, request any) (io.ReadCloser, error) {
	endpoint := c.endpoints[at]
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if path == watchPath {
		// A member that has lost the others would keep silent. Other requests fail
		// there by themselves, and may wait while a leader is chosen.
		req.Header.Set("Grpc-Metadata-Hasleader", "true")
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer in time, as of a member that has lost the others: %w", err)
		}
		return nil, fmt.Errorf("%s: %w", endpoint, unreachable{err})
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, fmt.Errorf("%s: %w", endpoint, refusal(resp, path, c.user))
}

// endpoint is the one that answered last, and what closes when another one does.
func (c *Client) endpoint() (at int, moved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.moved
}

func (c *Client) answered(at int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == at {
		return
	}
	c.current = at
	close(c.moved)
	c.moved = make(chan struct{})
}

// login returns the token of our user, empty where there is none. A token that
// is not stale is used again.
func (c *Client) login(ctx context.Context, at int, stale string) (string, error) {
	if c.user == "" {
		return "", nil
	}
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	if token != "" && token != stale {
		return token, nil
	}
	password, err := os.ReadFile(c.password)
	if err != nil {
		return "", fmt.Errorf("read the password of etcd's user: %w", err)
	}
	body, err := c.post(ctx, at, "/v3/auth/authenticate", "", map[string]string{
		"name": c.user, "password": strings.TrimRight(string(password), "\r\n"),
	})
	if err != nil {
		return "", err
	}
	defer body.Close()
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&answer); err != nil {
		return "", fmt.Errorf("%s: read the answer to a login: %w", c.endpoints[at], err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = answer.Token
	return answer.Token, nil
}
