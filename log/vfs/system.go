//go:build !failpoint

package vfs

// System is the file system of the machine. Only a build with the tag failpoint (failpoint.go) can make an error of it.
func System() (FS, error) { return OS{}, nil }
