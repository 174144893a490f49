package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// busyboxImage is a file system for `docker import`: the machine's static
// BusyBox with a link for each applet.
func busyboxImage(ctx context.Context) ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("build the image: %w (Debian: apt-get install busybox-static)", err)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("build the image: %w", err)
	}
	if err := checkStatic(binary); err != nil {
		return nil, fmt.Errorf("build the image: %s: %w (Debian: apt-get install busybox-static)", path, err)
	}
	applets, err := exec.CommandContext(ctx, path, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("build the image: list applets: %w", err)
	}
	// A static C library crashes when it looks for the name services of its default configuration.
	const nsswitch = "hosts: files dns\nservices: files\n"
	files := map[string]string{"bin/busybox": string(binary), "etc/nsswitch.conf": nsswitch}
	headers := []*tar.Header{
		{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir},
		{Name: "etc/", Mode: 0o755, Typeflag: tar.TypeDir},
		{Name: "bin/", Mode: 0o755, Typeflag: tar.TypeDir},
		{Name: "bin/busybox", Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(binary))},
		{Name: "etc/nsswitch.conf", Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(nsswitch))},
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			headers = append(headers, &tar.Header{Name: "bin/" + applet, Linkname: "busybox", Typeflag: tar.TypeSymlink})
		}
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("build the image: %w", err)
		}
		if _, err := io.WriteString(w, files[h.Name]); err != nil {
			return nil, fmt.Errorf("build the image: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("build the image: %w", err)
	}
	return image.Bytes(), nil
}

// checkStatic refuses an executable that needs a dynamic loader, which the image has not.
func checkStatic(binary []byte) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically")
		}
	}
	return nil
}
