package lab

import (
	"bytes"
	"context"
	_ "embed" // radvd.sh
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed radvd.sh
var radvdScript string

// Advertised is a prefix that the router tells the hosts of the LAN to take
// addresses from. A Preferred of zero deprecates it.
type Advertised struct {
	Prefix           netip.Prefix
	Valid, Preferred time.Duration // whole seconds
}

// Radvd sends the router's advertisements to the LAN. The caller closes it.
type Radvd struct {
	dir    string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
}

// Advertise starts radvd in the router, which becomes a default router of the
// LAN's hosts. Its first advertisement comes at once, others every 3 to 4 s.
func (l *Lab) Advertise(ctx context.Context, prefixes ...Advertised) (*Radvd, error) {
	dir, err := os.MkdirTemp("", "ndp6-radvd-")
	if err != nil {
		return nil, fmt.Errorf("start radvd: %w", err)
	}
	// Close ends it, or the end of this process.
	r := &Radvd{dir: dir, cmd: l.Router.command(context.WithoutCancel(ctx), "sh", "-c", radvdScript, "radvd.sh", dir)}
	r.cmd.Stderr = &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.stdin, err = r.cmd.StdinPipe()
	if err == nil {
		err = r.write(prefixes)
	}
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start radvd: %w", err), os.RemoveAll(dir))
	}
	return r, nil
}

// Advertise has the router advertise these prefixes and no others, at once.
func (r *Radvd) Advertise(prefixes ...Advertised) error {
	err := r.write(prefixes)
	if err == nil {
		_, err = io.WriteString(r.stdin, "\n")
	}
	if err != nil {
		return fmt.Errorf("change radvd: %w", err)
	}
	return nil
}

func (r *Radvd) write(prefixes []Advertised) error {
	var text strings.Builder
	text.WriteString("interface lan {\n\tAdvSendAdvert on;\n\tMinRtrAdvInterval 3;\n\tMaxRtrAdvInterval 4;\n\tAdvDefaultLifetime 60;\n")
	for _, p := range prefixes {
		fmt.Fprintf(&text, "\tprefix %s { AdvValidLifetime %d; AdvPreferredLifetime %d; };\n",
			p.Prefix, int(p.Valid.Seconds()), int(p.Preferred.Seconds()))
	}
	text.WriteString("};\n")
	return os.WriteFile(filepath.Join(r.dir, "radvd.conf"), []byte(text.String()), 0o644)
}

// Close ends radvd, which tells the hosts that the router is none any more.
func (r *Radvd) Close() error {
	err := errors.Join(r.stdin.Close(), r.cmd.Wait())
	if err != nil {
		return fmt.Errorf("end radvd: %w\n%s", err, strings.TrimSpace(r.stderr.String()))
	}
	return nil
}

// IsAdvertisementOf tells the frames that are router advertisements of a prefix.
func IsAdvertisementOf(p netip.Prefix) func(frame []byte) bool {
	const nextHeader, icmp, options = 14 + 6, 14 + 40, 14 + 40 + 16
	return func(f []byte) bool {
		return len(f) > options && f[12] == 0x86 && f[13] == 0xdd && f[nextHeader] == 58 && f[icmp] == 134 &&
			bytes.Contains(f[options:], p.Addr().AsSlice())
	}
}
