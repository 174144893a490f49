// Package conformance has tests only. They know which clauses of which
// standards bind ndp6, find the tests that show them, and write both down:
//
//	go test ./plugin/conformance -update
//
// A test says what it shows in a comment at it or in it, a clause a line:
//
//	// Shows RFC 4861 7.2.8 (override).
package conformance
