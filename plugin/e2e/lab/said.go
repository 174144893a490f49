package lab

import (
	"bytes"
	"strings"
	"sync"
)

// Said is what a command has said by now. The zero value is ready; it is
// written and read at once.
type Said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *Said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// String is all of it, without the space around.
func (s *Said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(s.text.String())
}
