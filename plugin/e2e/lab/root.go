package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Release is a Debian suite and the Docker version it holds.
type Release struct {
	Suite    string
	Docker   string   // major and minor version
	packages []string // beside those of every root
}

// Releases are the roots that the lab can build.
func Releases() []Release {
	return []Release{
		{Suite: "bookworm", Docker: "20.10", packages: []string{"docker-compose"}}, // The client is in docker.io.
		{Suite: "trixie", Docker: "26.1", packages: []string{"docker-cli", "docker-compose"}},
		// debootstrap does not know who provides the message bus and the login
		// manager that firewalld needs.
		{Suite: "sid", Docker: "28.5", packages: []string{"docker-cli", "docker-compose", "firewalld", "dbus", "libpam-systemd"}},
	}
}

// basePackages are in every root. Debian's iptables is both, nft and legacy.
func basePackages() []string {
	return []string{"docker.io", "iptables", "nftables", "iproute2", "ca-certificates", "ufw"}
}

// stamp changes when what is in the root does.
func (r Release) stamp() string {
	recipe := fmt.Sprint(1, r.Suite, basePackages(), r.packages)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(recipe)))[:12]
}

// Root returns the folder of a Debian root with this release's Docker. It is
// built where the cache does not hold it: half a minute and 600 MB each.
func Root(ctx context.Context, r Release, log io.Writer) (string, error) {
	cache := CacheDir()
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of the lab: %w", err)
	}
	unlock, err := lock(filepath.Join(cache, r.Suite+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, r.Suite+"-"+r.stamp())
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// Under the lock, what other names this suite has is a build that was cut off.
	stale, err := filepath.Glob(filepath.Join(cache, r.Suite+".tmp-*"))
	if err != nil {
		return "", fmt.Errorf("find stale roots: %w", err)
	}
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return "", fmt.Errorf("remove a stale root: %w", err)
		}
	}
	fmt.Fprintf(log, "lab: build the root of Debian %s (Docker %s) in %s\n", r.Suite, r.Docker, dir)
	tmp, err := os.MkdirTemp(cache, r.Suite+".tmp-")
	if err != nil {
		return "", fmt.Errorf("build root: %w", err)
	}
	if err := debootstrap(ctx, r, tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", errors.Join(fmt.Errorf("build root: %w", err), os.RemoveAll(tmp))
	}
	return dir, nil
}

// debootstrap fills dir. It runs in namespaces of its own, so that nothing
// stays mounted when it is cut off.
func debootstrap(ctx context.Context, r Release, dir string) error {
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("build root: %w", err)
	}
	include := strings.Join(append(basePackages(), r.packages...), ",")
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
		"debootstrap", "--variant=minbase", "--include="+include, r.Suite, dir, mirror)
	cmd.Env = append(environ(), "DEBIAN_FRONTEND=noninteractive")
	if proxy, err := exec.CommandContext(ctx, "apt-config", "shell", "p", "Acquire::http::Proxy").Output(); err == nil {
		if _, url, ok := strings.Cut(strings.TrimSpace(string(proxy)), "="); ok {
			cmd.Env = append(cmd.Env, "http_proxy="+strings.Trim(url, "'"))
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		tail := out[max(0, len(out)-2000):]
		return fmt.Errorf("debootstrap %s from %s: %w\n%s", r.Suite, mirror, err, tail)
	}
	if err := os.RemoveAll(filepath.Join(dir, "var/cache/apt/archives")); err != nil {
		return fmt.Errorf("build root: %w", err)
	}
	return nil
}

// mirror is NDP6_LAB_MIRROR, or the Debian mirror of the machine's own apt.
func mirror(ctx context.Context) (string, error) {
	if url := os.Getenv("NDP6_LAB_MIRROR"); url != "" {
		return url, nil
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for the Debian mirror: %w", err)
	}
	for url := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(strings.TrimSuffix(url, "/"), "/debian") {
			return url, nil
		}
	}
	return "", errors.New("no Debian mirror in apt's sources: set NDP6_LAB_MIRROR to the URL of one")
}

// lock waits until no other process holds the lock of this name.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
