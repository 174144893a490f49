package xtables

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// ErrNoCommand means that the legacy tables are in use, but the command that
// changes them is not installed.
var ErrNoCommand = errors.New("no such command: install package iptables, which has iptables-legacy and ip6tables-legacy")

// errTryAgain means that somebody else changed the table while a command did.
var errTryAgain = errors.New("try again")

// run makes changes, each of them an action of the family's command. The
// calling thread's namespace is the command's.
func (f family) run(ctx context.Context, actions []string) error {
	path, err := lookUp(f.command)
	if err != nil {
		return err
	}
	for _, action := range actions {
		if err := runOne(ctx, path, append([]string{"-w", "5", action}, rule...)); err != nil {
			return err
		}
	}
	return nil
}

// lookUp returns the path of a command. Daemons often lack the folders of
// administrators' commands in PATH.
func lookUp(command string) (string, error) {
	for _, folder := range []string{"", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(folder + command); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", command, ErrNoCommand)
}

// runOne runs a command that should take milliseconds. Another one that holds
// the tables' lock may keep it waiting.
func runOne(ctx context.Context, path string, args []string) error {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.TrimSpace(string(out))
	if said == "" {
		said = "no output"
	}
	const resourceProblem = 4
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == resourceProblem {
		err = errors.Join(errTryAgain, err)
	}
	return fmt.Errorf("%s %s: %w: %s", path, strings.Join(args, " "), errors.Join(context.Cause(ctx), err), said)
}
