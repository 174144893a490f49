package etcd_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := etcdtest.NewCerts(t), etcdtest.NewCerts(t)
	server := etcdtest.Start(t, "--cert-file="+ours.Cert, "--key-file="+ours.Key, "--trusted-ca-file="+ours.CA, "--client-cert-auth")
	endpoints := []string{server.URL}
	// etcd reads its own files at each connection, too.
	good := etcd.Config{Endpoints: endpoints, CAFile: ours.CA, CertFile: duplicate(t, ours.Cert), KeyFile: duplicate(t, ours.Key)}
	c := newClient(t, good)
	do(t, c, etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}})
	for _, test := range []struct {
		name   string
		config etcd.Config
		want   string
	}{
		{"no certificate of ours", etcd.Config{Endpoints: endpoints, CAFile: ours.CA}, "certificate"},
		{"another's certificate", etcd.Config{Endpoints: endpoints, CAFile: ours.CA, CertFile: others.Cert, KeyFile: others.Key}, "certificate"},
		{"another's authority", etcd.Config{Endpoints: endpoints, CAFile: others.CA, CertFile: ours.Cert, KeyFile: ours.Key}, "unknown authority"},
		{"no authority", etcd.Config{Endpoints: endpoints, CertFile: ours.Cert, KeyFile: ours.Key}, "unknown authority"},
		{"without TLS", etcd.Config{Endpoints: []string{strings.Replace(server.URL, "https", "http", 1)}}, ""},
	} {
		_, err := newClient(t, test.config).Do(t.Context(), etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}

	// A certificate that is replaced is used at the next connection.
	for _, path := range []string{good.CertFile, good.KeyFile} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), etcd.Txn{Then: []etcd.Op{etcd.Put("a", nil, 0)}}); err == nil || !strings.Contains(err.Error(), "read our certificate") {
		t.Errorf("certificate removed: %v", err)
	}
}

func duplicate(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".ours", text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path + ".ours"
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	certs := etcdtest.NewCerts(t)
	endpoints := []string{"https://127.0.0.1:1"}
	for _, test := range []struct {
		name   string
		config etcd.Config
		want   string
	}{
		{"no endpoint", etcd.Config{}, "no endpoint"},
		{"no such authority", etcd.Config{Endpoints: endpoints, CAFile: "/nowhere"}, "/nowhere"},
		{"a key as authority", etcd.Config{Endpoints: endpoints, CAFile: certs.Key}, "no certificate in PEM form"},
		{"key and certificate swapped", etcd.Config{Endpoints: endpoints, CertFile: certs.Key, KeyFile: certs.Cert}, "read our certificate"},
	} {
		if _, err := etcd.New(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
