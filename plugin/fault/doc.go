// Package fault has tests only. They break or kill the process at every
// operation of a container's life, and look at what the next one makes of it.
package fault
