// Package firewalld tells firewalld, over D-Bus, to leave our bridges to us.
//
// firewalld ends its forward chain with a reject, at a later priority than ours,
// and no mark helps against that. So, as Docker does for its own bridges, ours
// are put into a zone that accepts, and a policy accepts what is forwarded to
// that zone. Our own rules come first and drop first, so that this opens nothing.
//
// firewalld takes zones and policies only permanently and then needs a reload,
// which drops what others changed at run time alone. It happens once on a host.
// The bridges are in the zone at run time alone: links come and go.
package firewalld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// The zone and the policy, as firewall-cmd names them.
const (
	Zone   = "ndp6"
	Policy = "ndp6-forwarding"
)

// ErrNotRunning means that there is no bus, or that firewalld is not on it. On a
// host without firewalld that is as it should be.
var ErrNotRunning = errors.New("firewalld is not running")

// Names on the bus.
const (
	service      = "org.fedoraproject.FirewallD1"
	configPrefix = service + ".config."
	zonePrefix   = service + ".zone."
	policyPrefix = service + ".policy."

	exception     = service + ".Exception"
	unknownMethod = "org.freedesktop.DBus.Error.UnknownMethod"

	mainPath   = dbus.ObjectPath("/org/fedoraproject/FirewallD1")
	configPath = mainPath + "/config"
)

// Conn is a connection to firewalld. SetBridges and Remove are for one goroutine
// at a time; Watch may run beside them.
type Conn struct {
	bus *dbus.Conn
}

// Dial connects to firewalld on the bus that DBUS_SYSTEM_BUS_ADDRESS names, by
// default the system's. Where there is none it returns ErrNotRunning. The
// connection lasts until Close, however soon ctx ends.
func Dial(ctx context.Context) (*Conn, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	bus, err := dbus.Connect(busAddress(), dbus.WithContext(life))
	if err != nil {
		end()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			err = fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		return nil, fmt.Errorf("connect to system bus: %w", errors.Join(ctx.Err(), err))
	}
	c := &Conn{bus: bus}
	err = c.start(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// busAddress is that of the system's bus. The library's own look for it ends in
// an error that cannot be told from others where there is none.
func busAddress() string {
	return cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), "unix:path=/run/dbus/system_bus_socket")
}

// start subscribes to what Watch waits for and asks whether firewalld runs, in
// this order, so that no start is missed.
func (c *Conn) start(ctx context.Context) error {
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(service), dbus.WithMatchObjectPath(mainPath), dbus.WithMatchInterface(service), dbus.WithMatchMember("Reloaded")},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)},
	} {
		if err := c.bus.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("subscribe to signals of firewalld: %w", err)
		}
	}
	var running bool
	if err := c.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, service).Store(&running); err != nil {
		return fmt.Errorf("look for firewalld on the bus: %w", err)
	}
	if !running {
		return ErrNotRunning
	}
	return nil
}

// Close ends the connection and leaves firewalld as it is.
func (c *Conn) Close() error { return c.bus.Close() }

// Watch calls again once it listens, after every reload of firewalld, its own
// included, and after every start: SetBridges is then to be called again. again
// should only take note. Watch returns nil when ctx ends, and ErrNotRunning when
// the bus goes: Dial again.
func (c *Conn) Watch(ctx context.Context, again func()) error {
	const burst = 16
	signals := make(chan *dbus.Signal, burst)
	c.bus.Signal(signals)
	defer c.bus.RemoveSignal(signals)
	if !c.bus.Connected() {
		return fmt.Errorf("watch firewalld: %w: the bus is gone", ErrNotRunning)
	}
	again()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, ok := <-signals:
			switch {
			case !ok:
				return fmt.Errorf("watch firewalld: %w: the bus is gone", ErrNotRunning)
			case s.Name == service+".Reloaded" || isStart(s):
				again()
			}
		}
	}
}

// isStart reports whether s says that firewalld took its name.
func isStart(s *dbus.Signal) bool {
	if s.Name != "org.freedesktop.DBus.NameOwnerChanged" {
		return false
	}
	var name, before, after string
	return dbus.Store(s.Body, &name, &before, &after) == nil && name == service && after != ""
}

// call calls a method and stores what it returns. It starts no firewalld.
func (c *Conn) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, results ...any) error {
	call := c.bus.Object(service, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	err := call.Err
	if len(results) > 0 {
		err = call.Store(results...)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, dbus.ErrClosed) || isError(err, "org.freedesktop.DBus.Error.ServiceUnknown", "") ||
		isError(err, "org.freedesktop.DBus.Error.NameHasNoOwner", "") || isError(err, "org.freedesktop.DBus.Error.NoReply", "") {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return err
}

// isError reports whether err came over the bus with that name and a text that
// starts so. firewalld has one name for all of its errors, and a code in the text.
func isError(err error, name, start string) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && e.Name == name && strings.HasPrefix(e.Error(), start)
}
