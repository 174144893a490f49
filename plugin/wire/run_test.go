package wire_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/wire"
)

// TestEmptyHost sends what Docker 20.10 does, which net/http's client cannot.
func TestEmptyHost(t *testing.T) {
	p := start(t, &drivers{}, quiet)
	conn := dial(t, p.path)
	fmt.Fprint(conn, "POST /NetworkDriver.GetCapabilities HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %s, want 200", resp.Status)
	}
}

func TestBodyLimit(t *testing.T) {
	const tooLarge = `{"Err":"the request's body is over the limit of 1048576 bytes"}`
	for _, tt := range []struct {
		name   string
		header string
		size   int
	}{
		{name: "announced", header: "Content-Length: 104857600\r\n", size: 100 << 20},
		{name: "chunked", header: "Transfer-Encoding: chunked\r\n", size: 100 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, &drivers{}, quiet)
			conn := dial(t, p.path)
			fmt.Fprintf(conn, "POST /NetworkDriver.Join HTTP/1.1\r\nHost: \r\n%s\r\n", tt.header)
			sent := make(chan int64, 1)
			go func() { // Writes until the server hangs up.
				if tt.name == "chunked" {
					fmt.Fprintf(conn, "%x\r\n", tt.size)
				}
				n, _ := io.Copy(conn, io.LimitReader(zeros{}, int64(tt.size)))
				sent <- n
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(answer)); resp.StatusCode != http.StatusInternalServerError || got != tooLarge {
				t.Errorf("answer %s %s, want 500 %s", resp.Status, got, tooLarge)
			}
			if n := <-sent; n > 8<<20 {
				t.Errorf("the server let %d bytes in", n)
			}
			if status, answer := p.post(t, "Plugin.Activate", ""); status != 200 {
				t.Errorf("next call: %d %s", status, answer)
			}
		})
	}
	t.Run("at the limit", func(t *testing.T) {
		p := start(t, &drivers{}, quiet)
		body := `{"NetworkID":"` + strings.Repeat("n", 1<<20-16) + `"}`
		if status, answer := p.post(t, "NetworkDriver.Leave", body); status != 200 {
			t.Errorf("%d bytes: %d %s", len(body), status, answer)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	d := &drivers{before: func(context.Context, any) error {
		close(entered)
		<-release
		return nil
	}}
	p := start(t, d, quiet)
	dir := filepath.Dir(p.path)
	answered := make(chan string, 1)
	go func() {
		_, answer := p.post(t, "NetworkDriver.Join", `{}`)
		answered <- answer
	}()
	<-entered
	idle := dial(t, p.path)
	fmt.Fprint(idle, "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n")
	reader := bufio.NewReader(idle)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	p.stop()
	if _, err := reader.ReadByte(); err != io.EOF {
		t.Errorf("idle connection: %v, want it closed", err)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "unix", p.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("new connection: %v, want that the socket is gone", err)
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "fe80::1") {
		t.Errorf("call in flight: %s, want its answer", got)
	}
	if err := <-p.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := names(t, dir); got != nil {
		t.Errorf("left behind: %s", got)
	}
}

// TestDrainCancels has a call that ends when its context does: it still answers.
func TestDrainCancels(t *testing.T) {
	entered := make(chan struct{})
	d := &drivers{before: func(ctx context.Context, _ any) error {
		close(entered)
		<-ctx.Done()
		return errors.New("stopping")
	}}
	p := startConfig(t, wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet, Drain: 500 * time.Millisecond})
	answered := make(chan string, 1)
	go func() {
		_, answer := p.post(t, "NetworkDriver.Join", `{}`)
		answered <- answer
	}()
	<-entered
	p.stop()
	if got, want := <-answered, `{"Err":"stopping"}`; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
	if err := <-p.done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestDrainGivesUp(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	d := &drivers{before: func(context.Context, any) error {
		close(entered)
		<-release
		return nil
	}}
	p := startConfig(t, wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet, Drain: 10 * time.Millisecond})
	go func() { // Its connection is cut off: that is the test.
		resp, err := p.client.Post("http://ndp6/NetworkDriver.Join", "", strings.NewReader(`{}`))
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	p.stop()
	err := <-p.done
	close(release)
	if want := "stop: 1 calls had no answer after 10ms"; err == nil || err.Error() != want {
		t.Errorf("Run: %v, want %s", err, want)
	}
}

func TestTwoSockets(t *testing.T) {
	d := &drivers{}
	dir := socketDir(t)
	one, two := listen(t, filepath.Join(dir, "one.sock")), listen(t, filepath.Join(dir, "two.sock"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- wire.New(wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet}).Run(ctx, one, two)
	}()
	for _, l := range []*wire.Listener{one, two} {
		conn := dial(t, l.Path())
		fmt.Fprint(conn, "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", l.Path(), resp.Status)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != nil {
		t.Errorf("left behind: %s", got)
	}
}
