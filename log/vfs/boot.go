package vfs

import "strings"

// bootFile is where the kernel tells which run of the machine this is: another id after every boot.
const bootFile = "/proc/sys/kernel/random/boot_id"

// BootID is the id of the machine's run, empty if it is not known. It is read through fsys: a file system in memory knows none unless a test writes the file.
func BootID(fsys FS) string {
	f, err := fsys.OpenReadOnly(bootFile)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	b := make([]byte, 128)
	n, _ := f.ReadAt(b, 0) // it is shorter than that, so the end comes early
	return strings.TrimSpace(string(b[:n]))
}
