package e2e_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// dockerfile builds the Dockerfile without the Internet, on an image with this
// machine's Go, and wants what `make plugin` builds, byte for byte.
func dockerfile(b *bed) {
	const src, base = "/run/ndp6-lab/src", "/run/ndp6-lab/go"
	b.ok(copyGo(b.ctx(), b.host.Path(base)))
	// The modules come from a folder instead of a proxy.
	b.run("printf 'FROM " + lab.Image + "\nCOPY . /\nENV PATH=/usr/local/go/bin:/bin GOPROXY=file:///modules/cache/download GONOSUMDB=* GOFLAGS=-p=2 GOTOOLCHAIN=local\n' >/run/ndp6-lab/go.dockerfile")
	b.build("-t", "local-go", "-f", "/run/ndp6-lab/go.dockerfile", base)
	b.run("rm -r " + base)
	b.ok(copySource(b.host.Path(src)))
	b.build("--build-arg", "GO_IMAGE=local-go", "-t", "ndp6-rootfs", src)
	defer b.docker("image", "rm", "ndp6-rootfs", "local-go")
	defer b.docker("image", "prune", "-f")

	const rootfs = "/run/ndp6-lab/rootfs"
	b.docker("create", "--name", "rootfs", "ndp6-rootfs")
	b.run("mkdir " + rootfs + " && docker export rootfs | tar -x -C " + rootfs + " && docker rm rootfs")

	dir := b.TempDir()
	binary := filepath.Join(dir, "ndp6")
	cmd := exec.CommandContext(b.ctx(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "./plugin/cmd/ndp6")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	want := filepath.Join(dir, "rootfs")
	if out, err := exec.CommandContext(b.ctx(), "../../scripts/rootfs.sh", binary, want).CombinedOutput(); err != nil {
		b.Fatalf("rootfs.sh: %v\n%s", err, out)
	}
	if diff := cmp.Diff(b.tree(want), b.tree(b.host.Path(rootfs))); diff != "" {
		b.Errorf("root file system (-make plugin +docker build):\n%s", diff)
	}
}

// build runs the builder that every Docker has. On the newest it says that it is old.
func (b *bed) build(args ...string) {
	b.Helper()
	b.run("DOCKER_BUILDKIT=0 docker build --network none " + strings.Join(args, " ") + " 1>&2")
}

// tree lists a root file system, but for what Docker adds to an exported container.
func (b *bed) tree(dir string) []string {
	b.Helper()
	added := map[string]bool{
		".": true, ".dockerenv": true, "dev": true, "dev/console": true, "dev/pts": true, "dev/shm": true, "proc": true, "sys": true,
		"etc/hostname": true, "etc/hosts": true, "etc/mtab": true, "etc/resolv.conf": true,
	}
	var list []string
	b.ok(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || added[name] {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(info.Mode(), " ", name)
		if d.Type().IsRegular() {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			sum := sha256.New()
			if _, err := io.Copy(sum, f); err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sum.Sum(nil))
		}
		list = append(list, line)
		return nil
	}))
	return list
}

// copyGo puts this machine's Go and the modules that ndp6 needs below dir.
func copyGo(ctx context.Context, dir string) error {
	env, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("find Go: %w", err)
	}
	root, modules, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	for _, part := range []string{"bin", "pkg/include", "pkg/tool", "src", "go.env", "VERSION"} {
		to := filepath.Join(dir, "usr/local/go", part)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if out, err := exec.CommandContext(ctx, "cp", "-rL", filepath.Join(root, part), to).CombinedOutput(); err != nil {
			return fmt.Errorf("copy Go: %w\n%s", err, out)
		}
	}
	// What this machine has built may not have taken all modules; a cache of its
	// own has those of ndp6 alone.
	for _, env := range [][]string{
		nil,
		{"GOMODCACHE=" + filepath.Join(dir, "modules"), "GOPROXY=file://" + filepath.Join(modules, "cache/download"), "GONOSUMDB=*"},
	} {
		download := exec.CommandContext(ctx, "go", "mod", "download", "-modcacherw")
		download.Dir = "../.."
		download.Env = slices.Concat(os.Environ(), []string{"GOFLAGS="}, env)
		if out, err := download.CombinedOutput(); err != nil {
			return fmt.Errorf("copy modules: %w\n%s", err, out)
		}
	}
	unpacked, err := filepath.Glob(filepath.Join(dir, "modules", "[^c]*"))
	if err != nil {
		return err
	}
	for _, u := range unpacked {
		if err := os.RemoveAll(u); err != nil {
			return err
		}
	}
	return nil
}

// copySource copies what git knows of this checkout, changed or not.
func copySource(dir string) error {
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the source: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join("../..", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}
