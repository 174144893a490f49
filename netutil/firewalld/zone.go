package firewalld

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
)

// made is the description of the zone and the policy that we made, which tells
// them from an administrator's of the same name.
const made = "Made by ndp6 for the bridges of its networks, whose packets its own rules judge."

// kind is what differs between zones and policies.
type kind struct {
	word, name string
	byName     string // method: the permanent one with a name
	listed     string // method: those at run time
	unknown    string // code of the error that there is none
	itemPrefix string // of the methods of a permanent one
}

var (
	zones = kind{
		word: "zone", name: Zone, byName: configPrefix + "getZoneByName", listed: zonePrefix + "getZones",
		unknown: "INVALID_ZONE", itemPrefix: configPrefix + "zone.",
	}
	policies = kind{
		word: "policy", name: Policy, byName: configPrefix + "getPolicyByName", listed: policyPrefix + "getPolicies",
		unknown: "INVALID_POLICY", itemPrefix: configPrefix + "policy.",
	}
)

// item is a permanent zone or policy. Without a path there is none.
type item struct {
	path                dbus.ObjectPath
	target, description string
	ingress, egress     []string
}

func (i item) ours() bool { return i.path != "" && i.description == made }

// zoneSettings is what getSettings and addZone call a zone. Newer firewalld has
// other methods besides, but keeps these.
type zoneSettings struct {
	Version, Short, Description string
	Unused                      bool
	Target                      string
	Services                    []string
	Ports                       []pair
	ICMPBlocks                  []string
	Masquerade                  bool
	ForwardPorts                []quadruple
	Interfaces                  []string
	Sources                     []string
	RichRules                   []string
	Protocols                   []string
	SourcePorts                 []pair
	ICMPBlockInversion          bool
}

type (
	pair      struct{ A, B string }
	quadruple struct{ A, B, C, D string }
)

// errNoPolicies means that this firewalld is older than 0.9 and knows none. Its
// zones accept what is forwarded to them by themselves.
var errNoPolicies = errors.New("firewalld has no policies")

// ensureZone makes the zone and the policy where they are missing. Both are
// there only after a reload, which a call that was cut short may have left to us.
func (c *Conn) ensureZone(ctx context.Context) error {
	zone, err := c.find(ctx, zones)
	switch {
	case err != nil:
		return err
	case zone.path == "":
		settings := zoneSettings{Version: "1.0", Short: Zone, Description: made, Target: "ACCEPT"}
		if err := c.call(ctx, configPath, configPrefix+"addZone", []any{Zone, settings}, &zone.path); err != nil {
			return fmt.Errorf("add firewalld zone %s: %w", Zone, err)
		}
	case zone.target != "ACCEPT":
		return fmt.Errorf("firewalld zone %s has target %s: run firewall-cmd --permanent --zone=%s --set-target=ACCEPT", Zone, zone.target, Zone)
	}

	policy, err := c.find(ctx, policies)
	switch {
	case errors.Is(err, errNoPolicies):
	case err != nil:
		return err
	case policy.path == "":
		settings := map[string]any{
			"version": "1.0", "short": Policy, "description": made, "target": "ACCEPT",
			"ingress_zones": []string{"ANY"}, "egress_zones": []string{Zone},
		}
		if err := c.call(ctx, configPath, configPrefix+"addPolicy", []any{Policy, settings}, &policy.path); err != nil {
			return fmt.Errorf("add firewalld policy %s: %w", Policy, err)
		}
	case policy.target != "ACCEPT" || !slices.Contains(policy.ingress, "ANY") || !slices.Contains(policy.egress, Zone):
		return fmt.Errorf("firewalld policy %s does not accept from ANY to %s: delete it with firewall-cmd --permanent --delete-policy=%s", Policy, Zone, Policy)
	}

	for _, k := range []kind{zones, policies} {
		there, err := c.atRunTime(ctx, k)
		if err != nil {
			return err
		}
		if !there {
			return c.reload(ctx)
		}
	}
	return nil
}

// atRunTime reports whether our zone or policy is there at run time, and that
// there is no need of policies where there are none.
func (c *Conn) atRunTime(ctx context.Context, k kind) (bool, error) {
	var names []string
	err := c.call(ctx, mainPath, k.listed, nil, &names)
	if isError(err, unknownMethod, "") {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for firewalld %s %s at run time: %w", k.word, k.name, err)
	}
	return slices.Contains(names, k.name), nil
}

// find returns the permanent zone or policy with our name.
func (c *Conn) find(ctx context.Context, k kind) (item, error) {
	var i item
	err := c.call(ctx, configPath, k.byName, []any{k.name}, &i.path)
	switch {
	case isError(err, exception, k.unknown):
		return item{}, nil
	case isError(err, unknownMethod, ""):
		return item{}, errNoPolicies
	case err != nil:
		return item{}, fmt.Errorf("look for firewalld %s %s: %w", k.word, k.name, err)
	}
	if err := c.read(ctx, k, &i); err != nil {
		return item{}, fmt.Errorf("read firewalld %s %s: %w", k.word, k.name, err)
	}
	return i, nil
}

// read reads the settings of the zone or policy at i's path.
func (c *Conn) read(ctx context.Context, k kind, i *item) error {
	if k.word == zones.word {
		var s zoneSettings
		if err := c.call(ctx, i.path, k.itemPrefix+"getSettings", nil, &s); err != nil {
			return err
		}
		i.target, i.description = s.Target, s.Description
		return nil
	}
	var s map[string]dbus.Variant
	if err := c.call(ctx, i.path, k.itemPrefix+"getSettings", nil, &s); err != nil {
		return err
	}
	for key, into := range map[string]any{
		"target": &i.target, "description": &i.description, "ingress_zones": &i.ingress, "egress_zones": &i.egress,
	} {
		if value, ok := s[key]; ok {
			if err := value.Store(into); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// zoneIsFree returns an error if somebody else's policy refers to our zone:
// firewalld does not start with a policy whose zone is gone.
func (c *Conn) zoneIsFree(ctx context.Context) error {
	var paths []dbus.ObjectPath
	err := c.call(ctx, configPath, configPrefix+"listPolicies", nil, &paths)
	if isError(err, unknownMethod, "") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list firewalld's policies: %w", err)
	}
	for _, path := range paths {
		i := item{path: path}
		if err := c.read(ctx, policies, &i); err != nil {
			return fmt.Errorf("read a policy of firewalld: %w", err)
		}
		if !i.ours() && (slices.Contains(i.ingress, Zone) || slices.Contains(i.egress, Zone)) {
			return fmt.Errorf("remove firewalld zone %s: policy %s refers to it", Zone, c.name(ctx, path))
		}
	}
	return nil
}

// name returns the name of the permanent zone or policy at path, for a text.
func (c *Conn) name(ctx context.Context, path dbus.ObjectPath) string {
	var name dbus.Variant
	err := c.call(ctx, path, "org.freedesktop.DBus.Properties.Get", []any{policies.itemPrefix[:len(policies.itemPrefix)-1], "name"}, &name)
	if err != nil {
		return string(path)
	}
	return fmt.Sprint(name.Value())
}
