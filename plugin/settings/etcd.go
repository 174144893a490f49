package settings

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
)

// Etcd is how an operator wants the host to be a member of a cluster.
type Etcd struct {
	// Endpoints are URLs, none for a host that is on its own.
	Endpoints []string
	// CA, Cert and Key are files, empty for none.
	CA, Cert, Key string
	// User logs in with what is in PasswordFile; empty for no login.
	User, PasswordFile string
	// HostID is the host's id among the others, empty for one that is made of
	// its machine-id(5).
	HostID string
	// Lease is how long etcd waits for a host, and Hold how long its routes stay then.
	Lease, Hold time.Duration
}

// etcdTable are the settings of clusters.
func etcdTable() []setting {
	file := func(field func(*Settings) *string) func(*Settings, string) error {
		return func(s *Settings, v string) error {
			*field(s) = v
			if v == "" {
				return nil
			}
			return checkPath(v)
		}
	}
	return []setting{
		{
			flag: "etcd", env: "NDP6_ETCD", placeholder: "URL,...", list: true, hidden: true,
			title: "members of the etcd that a cluster of hosts shares prefixes through",
			more:  "Such as https://192.0.2.1:2379. Networks with --ipam-opt ndp6.base=PREFIX get blocks of it that no other host has, and hosts route to each other.",
			set: func(s *Settings, v string) (err error) {
				s.Etcd.Endpoints, err = parseEndpoints(v)
				return err
			},
		},
		{
			flag: "etcd-ca", env: "NDP6_ETCD_CA", placeholder: "PATH",
			title: "certificates that sign etcd's, in PEM form",
			more:  "Without it those that the host trusts.",
			set:   file(func(s *Settings) *string { return &s.Etcd.CA }),
		},
		{
			flag: "etcd-cert", env: "NDP6_ETCD_CERT", placeholder: "PATH",
			title: "certificate that ndp6 shows etcd, in PEM form",
			more:  "Read again at each connection.",
			set:   file(func(s *Settings) *string { return &s.Etcd.Cert }),
		},
		{
			flag: "etcd-key", env: "NDP6_ETCD_KEY", placeholder: "PATH",
			title: "key of that certificate, in PEM form",
			more:  "Readable by root only.",
			set:   file(func(s *Settings) *string { return &s.Etcd.Key }),
		},
		{
			flag: "etcd-user", env: "NDP6_ETCD_USER", placeholder: "NAME",
			title: "user to log in to etcd as",
			more:  "It needs readwrite on the keys below /ndp6/.",
			set: func(s *Settings, v string) error {
				s.Etcd.User = v
				return nil
			},
		},
		{
			flag: "etcd-password-file", env: "NDP6_ETCD_PASSWORD_FILE", placeholder: "PATH",
			title: "file with that user's password",
			more:  "Readable by root only. Read again at each login.",
			set:   file(func(s *Settings) *string { return &s.Etcd.PasswordFile }),
		},
		{
			flag: "etcd-lease", env: "NDP6_ETCD_LEASE", placeholder: "DURATION",
			value: "60s",
			title: "how long etcd waits for a sign of life of a host",
			more:  "At least 2s. A third of it is how often a host gives one.",
			set: func(s *Settings, v string) (err error) {
				s.Etcd.Lease, err = parsePeriod(v)
				if err == nil && s.Etcd.Lease < shortestLease {
					err = fmt.Errorf("too short: want at least %s", shortestLease)
				}
				return err
			},
		},
		{
			flag: "peer-hold", env: "NDP6_PEER_HOLD", placeholder: "DURATION",
			value: "60s",
			title: "how long the routes to a host stay after its lease ended",
			more:  "Then they go, unless the host still answers on the link: its plugin was killed, and its containers run.",
			set: func(s *Settings, v string) (err error) {
				s.Etcd.Hold, err = parsePeriod(v)
				return err
			},
		},
		{
			flag: "host-id", env: "NDP6_HOST_ID", placeholder: "ID",
			title: "id of this host among those of the cluster",
			more:  "No two hosts may have the same. Without it one that is made of /etc/machine-id.",
			set: func(s *Settings, v string) error {
				s.Etcd.HostID = v
				if v == "" {
					return nil
				}
				return claim.CheckHost(v)
			},
		},
	}
}

// shortestLease is what etcd makes of a shorter one.
const shortestLease = 2 * time.Second

func parseEndpoints(v string) ([]string, error) {
	const example = "want a URL such as https://192.0.2.1:2379"
	words := split(v)
	for _, word := range words {
		u, err := url.Parse(word)
		switch {
		case err != nil:
			return nil, errors.New("not a URL: " + example) // The error has the whole text.
		case u.User != nil:
			return nil, errors.New("a URL has a user: give --etcd-user and --etcd-password-file")
		case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("%q: %s", word, example)
		case u.Port() == "":
			return nil, fmt.Errorf("%q has no port: %s", word, example)
		}
	}
	return words, nil
}

// check says which settings are missing for others.
func (e Etcd) check() error {
	needs := func(flag, env, value, other, otherEnv, otherValue string) error {
		if value == "" || otherValue != "" {
			return nil
		}
		return fmt.Errorf("--%s (%s) %q: give --%s (%s) as well", flag, env, value, other, otherEnv)
	}
	endpoints := strings.Join(e.Endpoints, ",")
	return errors.Join(
		needs("etcd-cert", "NDP6_ETCD_CERT", e.Cert, "etcd-key", "NDP6_ETCD_KEY", e.Key),
		needs("etcd-key", "NDP6_ETCD_KEY", e.Key, "etcd-cert", "NDP6_ETCD_CERT", e.Cert),
		needs("etcd-user", "NDP6_ETCD_USER", e.User, "etcd-password-file", "NDP6_ETCD_PASSWORD_FILE", e.PasswordFile),
		needs("etcd-password-file", "NDP6_ETCD_PASSWORD_FILE", e.PasswordFile, "etcd-user", "NDP6_ETCD_USER", e.User),
		needs("etcd-ca", "NDP6_ETCD_CA", e.CA, "etcd", "NDP6_ETCD", endpoints),
		needs("etcd-cert", "NDP6_ETCD_CERT", e.Cert, "etcd", "NDP6_ETCD", endpoints),
		needs("etcd-user", "NDP6_ETCD_USER", e.User, "etcd", "NDP6_ETCD", endpoints),
	)
}
