// Package reference has a test only. It writes what the code says of options
// and settings into the documents, and fails where they say something else:
//
//	go test ./plugin/reference -update
package reference
