package nft_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// TestMain is also the process that TestKilledOwner kills.
func TestMain(m *testing.M) {
	if os.Getenv("NFT_TEST_OWNER") != "" {
		c, err := nft.Open()
		if err == nil {
			_, err = c.Ensure(sample())
		}
		fmt.Fprintln(os.Stdout, "ready", err)
		select {}
	}
	os.Exit(m.Run())
}

func TestKilledOwner(t *testing.T) {
	nettest.Enter(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "NFT_TEST_OWNER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready <nil>\n" {
		t.Fatal(line, err)
	}
	c := open(t)
	_, err = c.Ensure(sample())
	if !c.IsOwned() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended.
		cmd.Wait()         //nolint:errcheck // it was killed.
		t.Skip("the kernel knows no owners of tables")
	}
	if !errors.Is(err, nft.ErrOwned) {
		t.Errorf("while the owner lives: %v", err)
	}
	w := startWatch(t, c)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed.
	for {
		select {
		case what := <-w.repairs:
			if what == "inet table adopted" {
				ensure(t, c, sample(), false)
				w.cancel()
				if err := <-w.ended; err != nil {
					t.Error(err)
				}
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("not adopted")
		}
	}
}
