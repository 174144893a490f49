package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
)

// Registry is where StartRegistry has it, on the loopback of its host.
const Registry = "127.0.0.1:5000"

const registryConfig = `version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: ` + runDir + `/registry-data}}
http: {addr: "` + Registry + `"}
`

// StartRegistry runs Debian's registry on the host, empty, until the host ends.
// Docker takes one on the loopback without TLS.
func (h *Host) StartRegistry(ctx context.Context) error {
	binary, err := registryBinary(ctx)
	if err != nil {
		return err
	}
	path, err := h.Install(binary)
	if err != nil {
		return err
	}
	config := filepath.Join(runDir, "registry.yml")
	if err := h.WriteFile(config, []byte(registryConfig), 0o644); err != nil {
		return err
	}
	d, err := h.start(ctx, "registry", path, "serve", config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return d.waitFor(ctx, func(ctx context.Context) error {
		_, err := h.Get(ctx, netip.MustParseAddrPort(Registry), "/v2/")
		return err
	})
}

// registryBinary is the program of Debian's package, out of the cache. The
// package is not installed: that would start one on this machine.
func registryBinary(ctx context.Context) (string, error) {
	path := filepath.Join(CacheDir(), "docker-registry")
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	tmp, err := os.MkdirTemp("", "ndp6-registry-")
	if err != nil {
		return "", fmt.Errorf("get the registry: %w", err)
	}
	const script = `cd "$0" && apt-get -qq -o APT::Sandbox::User=root download docker-registry && dpkg-deb -x docker-registry_*.deb . && mv usr/bin/docker-registry "$1"`
	cmd := exec.CommandContext(ctx, "sh", "-c", script, tmp, path)
	if out, runErr := cmd.CombinedOutput(); runErr != nil {
		err = fmt.Errorf("get the registry: %w\n%s", runErr, out)
	}
	return path, errors.Join(err, os.RemoveAll(tmp))
}
