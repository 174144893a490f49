package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
)

// Inherit returns the sockets that systemd passed to this process, none where
// it passed none. It tells children nothing of them, so call it once. They
// stay systemd's: closing one leaves it at its path, where callers wait for the
// next process.
func Inherit() ([]*Listener, error) {
	var listeners []*Listener
	for _, f := range activation.Files(true) {
		l, err := inherit(f)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, fmt.Errorf("take socket %s from systemd: %w", f.Name(), err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func inherit(f *os.File) (*Listener, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is not a unix socket: want ListenStream=/run/docker/plugins/ndp6.sock", l.Addr()), l.Close())
	}
	return &Listener{UnixListener: ul, path: l.Addr().String(), close: sync.OnceValue(ul.Close)}, nil
}
