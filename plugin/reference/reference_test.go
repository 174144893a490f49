package reference_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/netutil/golden"
	"github.com/ndp6/ndp6/plugin/settings"
)

const (
	readme = "../../README.md"
	page   = "../../docs/reference.md"
)

// A table of a document stands between two comments. What the code says goes there.
type table struct {
	file, name, rows string
}

// mostUsed are the options and settings that the README shows: all of them are
// in docs/reference.md.
func mostUsed() []string {
	return []string{
		"ndp6.uplink", "ndp6.mode", "ndp6.inbound", "ndp6.stable", "ndp6.renumber", "ndp6.mtu",
		"ndp6.source", "ndp6.ipv4",
		"uplink", "pools", "ipv4-pools", "iid", "responder", "sysctls",
	}
}

func used(key string) bool { return slices.Contains(mostUsed(), key) }
func all(string) bool      { return true }

func tables() []table {
	return []table{
		{readme, "network options", networkOptions(used, "docs/")},
		{readme, "pool options", poolOptions(used)},
		{readme, "settings", settingsTable(used)},
		{page, "network options", networkOptions(all, "")},
		{page, "endpoint options", endpointOptions()},
		{page, "pool options", poolOptions(all)},
		{page, "settings", settingsTable(all)},
	}
}

// TestDocuments compares each table with the code.
func TestDocuments(t *testing.T) {
	for _, tt := range tables() {
		t.Run(strings.TrimPrefix(tt.file, "../../")+" "+tt.name, func(t *testing.T) {
			data, err := os.ReadFile(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			before, after := around(t, string(data), tt.name)
			golden.Expect(t, tt.file, before+tt.rows+after)
		})
	}
}

// TestMostUsed finds keys that the README should show and the code does not have.
func TestMostUsed(t *testing.T) {
	var known []string
	for _, o := range driver.Options() {
		known = append(known, o.Key)
	}
	for _, o := range ipam.Options() {
		known = append(known, o.Key)
	}
	for _, s := range settings.All() {
		known = append(known, s.Flag)
	}
	for _, key := range mostUsed() {
		if !slices.Contains(known, key) {
			t.Errorf("%s is neither an option nor a setting", key)
		}
	}
}

// around is what stands before and after the table of a name in a document.
func around(t *testing.T, document, name string) (before, after string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n\n", "\n<!-- end of "+name+" -->"
	head, rest, ok := strings.Cut(document, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the document has no lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return head + begin, end + tail
}

func networkOptions(shown func(key string) bool, dir string) string {
	b := header("Key", "Value", "Default", "")
	for _, o := range driver.Options() {
		if shown(o.Key) {
			row(b, code(o.Key), o.Value, o.Default, o.Text+link(dir, o.Page))
		}
	}
	return b.String()
}

func endpointOptions() string {
	b := header("Key", "Value", "Default")
	for _, o := range driver.Options() {
		if o.Endpoint {
			row(b, code(o.Key), o.Value, "the network's")
		}
	}
	return b.String()
}

func poolOptions(shown func(key string) bool) string {
	b := header("Key", "Value", "Default", "")
	for _, o := range ipam.Options() {
		if shown(o.Key) {
			row(b, code(o.Key), o.Value, o.Default, o.Text)
		}
	}
	return b.String()
}

func settingsTable(shown func(key string) bool) string {
	b := header("Flag", "Environment", "Default", "")
	for _, s := range settings.All() {
		if shown(s.Flag) {
			row(b, code("--"+s.Flag+" "+s.Placeholder), code(s.Env), code(s.Default), sentence(s.Title)+" "+s.More)
		}
	}
	return b.String()
}

func header(names ...string) *strings.Builder {
	b := new(strings.Builder)
	row(b, names...)
	b.WriteString(strings.Repeat("|---", len(names)) + "|\n")
	return b
}

// row writes a line of a table. What would end a cell or the row is escaped.
func row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(strings.Join(strings.Fields(c), " "), "|", `\|`))
	}
	b.WriteString("|\n")
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func link(dir, page string) string {
	if page == "" {
		return ""
	}
	return fmt.Sprintf(" [%s](%s)", dir+page, dir+page)
}

func sentence(title string) string { return strings.ToUpper(title[:1]) + title[1:] + "." }
