package firewalld

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// SetBridges makes names the links in our zone, at run time, and makes the zone
// and the policy if there is a bridge for them. What is as it should be is left
// alone. A bridge that an administrator put into another zone is an error that
// names the zone, and does not keep the others out of ours.
func (c *Conn) SetBridges(ctx context.Context, names []string) error {
	if len(names) > 0 {
		if err := c.ensureZone(ctx); err != nil {
			return err
		}
	}
	have, err := c.bridges(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if slices.Contains(have, name) {
			continue
		}
		err := c.call(ctx, mainPath, zonePrefix+"addInterface", []any{Zone, name})
		if err != nil && !isError(err, exception, "ALREADY_ENABLED") && !isError(err, exception, "ZONE_ALREADY_SET") {
			errs = append(errs, fmt.Errorf("add bridge %s to firewalld zone %s: %w", name, Zone, err))
		}
	}
	for _, name := range have {
		if slices.Contains(names, name) {
			continue
		}
		err := c.call(ctx, mainPath, zonePrefix+"removeInterface", []any{Zone, name})
		if err != nil && !isError(err, exception, "UNKNOWN_INTERFACE") && !isError(err, exception, "NOT_ENABLED") {
			errs = append(errs, fmt.Errorf("remove bridge %s from firewalld zone %s: %w", name, Zone, err))
		}
	}
	return errors.Join(errs...)
}

// bridges returns the links in our zone, none where there is no such zone.
func (c *Conn) bridges(ctx context.Context) ([]string, error) {
	var names []string
	err := c.call(ctx, mainPath, zonePrefix+"getInterfaces", []any{Zone}, &names)
	if isError(err, exception, "INVALID_ZONE") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list links in firewalld zone %s: %w", Zone, err)
	}
	return names, nil
}

// Remove takes our bridges, policy and zone away and, if there was one of the
// latter, has firewalld reload. A zone or policy of that name that somebody else
// made stays.
func (c *Conn) Remove(ctx context.Context) error {
	if err := c.SetBridges(ctx, nil); err != nil {
		return err
	}
	zone, err := c.find(ctx, zones)
	if err != nil {
		return err
	}
	if zone.ours() {
		if err := c.zoneIsFree(ctx); err != nil {
			return err
		}
	}
	changed := false
	// The policy first: it refers to the zone.
	for _, k := range []kind{policies, zones} {
		removed, err := c.remove(ctx, k)
		if err != nil {
			return err
		}
		changed = changed || removed
	}
	if !changed {
		return nil
	}
	return c.reload(ctx)
}

// remove removes our permanent zone or policy, and reports whether that is to
// be followed by a reload. A Remove that was cut short may have left only that.
func (c *Conn) remove(ctx context.Context, k kind) (bool, error) {
	is, err := c.find(ctx, k)
	switch {
	case errors.Is(err, errNoPolicies):
		return false, nil
	case err != nil:
		return false, err
	case is.path == "":
		return c.atRunTime(ctx, k)
	case !is.ours():
		return false, nil
	}
	if err := c.call(ctx, is.path, k.itemPrefix+"remove", nil); err != nil {
		return false, fmt.Errorf("remove firewalld %s %s: %w", k.word, k.name, err)
	}
	return true, nil
}

// reload makes what is permanent the truth at run time.
func (c *Conn) reload(ctx context.Context) error {
	if err := c.call(ctx, mainPath, service+".reload", nil); err != nil {
		return fmt.Errorf("reload firewalld: %w", err)
	}
	return nil
}
