package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// maxBody is far above what Docker sends: a thousand published ports are 100 KB.
	maxBody = 1 << 20
	// bodyWait bounds how long a peer may take to send a body.
	bodyWait = 10 * time.Second
)

var (
	errNoArguments = errors.New("the request has no arguments: Docker repeats a call whose connection to the plugin broke and leaves its body out: run the docker command again")
	errTooLarge    = fmt.Errorf("the request's body is over the limit of %d bytes", maxBody)
)

// readBody reads what the peer sent, and no more than maxBody of it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	// A deadline for the body alone: one that outlived it would end the call.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyWait)) // Only a recorder in a test has none.
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, errTooLarge
	case err != nil:
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	return body, nil
}

// decode fills req from body, which must be one JSON object. Fields that req
// does not have are left out: new versions of Docker add some.
func decode(body []byte, req any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return errNoArguments
	}
	err := json.Unmarshal(body, req)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("decode the request: %s is a JSON %s, want %s", kind.Field, kind.Value, kind.Type)
	case errors.As(err, &kind), err == nil && body[0] != '{':
		return errors.New("decode the request: the body is not a JSON object")
	case err != nil:
		return fmt.Errorf("decode the request: the body is not JSON: %w", err)
	}
	return nil
}

// subject gives the log attributes that say what a call is about.
func subject(body []byte) []any {
	var ids struct{ NetworkID, EndpointID, PoolID string }
	if json.Unmarshal(body, &ids) != nil {
		return nil
	}
	var attrs []any
	for _, a := range []struct{ key, id string }{
		{"network", short(ids.NetworkID)},
		{"endpoint", short(ids.EndpointID)},
		{"pool", ids.PoolID},
	} {
		if a.id != "" {
			attrs = append(attrs, a.key, a.id)
		}
	}
	return attrs
}

// short is an id as Docker's own command line shows it.
func short(id string) string {
	return id[:min(len(id), 12)]
}
