// Package image is the cluster's metadata as a value: topics, partitions, brokers, configs, features.
//
// It sits between controller/record (what changes it) and everything that reads metadata: decide, replica, the handlers. An Image never changes. Apply
// makes a new one that shares what did not change, so a reader takes a pointer and needs no lock, and keeping an old image costs only the difference.
//
// It is pure: no I/O, no goroutine, nothing durable. An image is a function of the records before its offset: every node has the same one.
// Slices, maps and pointers found in an image are shared and must not be modified.
//
// Start reading at image.go, then apply.go; table.go is the copy-on-write map under it.
package image
