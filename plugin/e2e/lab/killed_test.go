package lab_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestKilledRun kills a run that has a container, and wants nothing of it to be
// left once the next lab was made.
func TestKilledRun(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests with real Docker engines")
	}
	root, err := lab.Root(t.Context(), lab.Releases()[0], os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(os.Args[0], "-test.run=^TestRunToBeKilled$")
	run.Env = append(os.Environ(), "NDP6_LAB_RUN="+root)
	run.Stderr = os.Stderr
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "up" {
		t.Log(lines.Text())
	}
	pid := run.Process.Pid
	if len(cgroupsOf(t, pid)) == 0 {
		t.Errorf("the run has no cgroups: it did not start a container")
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait() // It was killed.

	l, err := lab.New(t.Context(), lab.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	deadline := time.Now().Add(10 * time.Second)
	for len(processesOf(t, pid)) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if left := processesOf(t, pid); len(left) > 0 {
		t.Errorf("processes of the killed run are left: %v", left)
	}
	if left := cgroupsOf(t, pid); len(left) > 0 {
		t.Errorf("cgroups of the killed run are left: %v", left)
	}
}

// TestRunToBeKilled is the run that TestKilledRun starts and kills.
func TestRunToBeKilled(t *testing.T) {
	root := os.Getenv("NDP6_LAB_RUN")
	if root == "" {
		t.Skip("TestKilledRun starts it")
	}
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(t.Context(), 10, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.StartEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Docker(t.Context(), "run", "-d", lab.Image, "sleep", "1h"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, "up")
	<-t.Context().Done() // Never: the process is killed.
}

func cgroupsOf(t *testing.T, pid int) []string {
	t.Helper()
	return glob(t, fmt.Sprintf("/sys/fs/cgroup/*/ndp6-lab-%d-*", pid), fmt.Sprintf("/sys/fs/cgroup/ndp6-lab-%d-*", pid))
}

// processesOf finds the dockerd of a run and what else names its cgroup.
func processesOf(t *testing.T, pid int) []string {
	t.Helper()
	var found []string
	for _, name := range glob(t, "/proc/[0-9]*/cmdline") {
		line, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(line), fmt.Sprintf("ndp6-lab-%d-", pid)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var found []string
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}
