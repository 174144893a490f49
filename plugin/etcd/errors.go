package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Errors to test for.
var (
	// ErrAway says that no endpoint answered, or that etcd has no leader: the
	// same request may succeed later.
	ErrAway = errors.New("etcd does not answer")
	// ErrLease says that a lease has ended.
	ErrLease = errors.New("the lease has ended")
	// ErrCompacted says that etcd has forgotten what a watch wants to begin with.
	ErrCompacted = errors.New("etcd has compacted its history")

	errToken = errors.New("the login has ended")
)

// unreachable is why an endpoint could not be asked.
type unreachable struct{ error }

func (u unreachable) Unwrap() error        { return u.error }
func (u unreachable) Is(target error) bool { return target == ErrAway }

// Codes of gRPC, as the gateway passes them on.
const (
	codeInvalid         = 3
	codeDeadline        = 4
	codeDenied          = 7
	codeUnavailable     = 14
	codeUnauthenticated = 16
)

// failure is what the gateway answers with in place of a result, in the forms
// that versions 3.4 to 3.6 have.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Error is a text, or in a stream an object.
	Error json.RawMessage `json:"error"`
}

// refusal says why an answer is none.
func refusal(resp *http.Response, path, user string) error {
	var f failure
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err := json.Unmarshal(text, &f); err != nil || f.Message == "" && f.Error == nil {
		err := fmt.Errorf("%s %s: is it an etcd of version 3.4 or newer, with its gateway enabled", path, resp.Status)
		if resp.StatusCode >= http.StatusInternalServerError {
			return unreachable{err}
		}
		return err
	}
	if f.Message == "" {
		_ = json.Unmarshal(f.Error, &f.Message)
	}
	return f.err(user)
}

// err is the failure with what the operator can do.
func (f failure) err(user string) error {
	text := strings.TrimPrefix(f.Message, "etcdserver: ")
	has := func(part string) bool { return strings.Contains(text, part) }
	err := errors.New(text)
	switch {
	case has("requested lease not found"):
		return ErrLease
	case f.Code == codeUnauthenticated, has("invalid auth token"):
		return errToken
	case has("required revision has been compacted"):
		return ErrCompacted
	case has("authentication failed"):
		return fmt.Errorf("%w: give the right --etcd-user and --etcd-password-file", err)
	case has("authentication is not enabled"):
		return fmt.Errorf("%w: leave out --etcd-user, or enable it in etcd", err)
	case f.Code == codeInvalid && has("user name is empty"):
		return fmt.Errorf("%w: etcd wants a login: give --etcd-user and --etcd-password-file", err)
	case f.Code == codeDenied, has("permission denied"):
		return fmt.Errorf("%w: grant user %q readwrite on the keys below /ndp6/ (etcdctl role grant-permission ROLE --prefix=true readwrite /ndp6/)", err, user)
	case f.Code == codeUnavailable, f.Code == codeDeadline, has("no leader"), has("timed out"), has("too many requests"):
		return unreachable{err}
	}
	return err
}

// elsewhere reports whether another endpoint may know better.
func elsewhere(err error) bool { return errors.Is(err, ErrAway) }
