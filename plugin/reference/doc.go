// Package reference has tests only. They write what the code says of options
// and settings into the documents, and fail where those or config.json say
// something else:
//
//	go test ./plugin/reference -update
package reference
