package log

// manyFiles is how many files of one pass are synced one by one at most, if the directory is a mount of its own: beyond it one call for all of them is faster on any disk.
const manyFiles = 32

// syncMany syncs the records of all logs at once, if there are many files of them. An error is everybody's.
func (d *directory) syncMany(work []flush) {
	var descriptors []uintptr
	for i := range work {
		for _, h := range work[i].files {
			fd, ok := h.FD()
			if !ok {
				return
			}
			descriptors = append(descriptors, fd)
		}
	}
	if len(descriptors) <= manyFiles {
		return
	}
	err := d.mount.SyncAll(descriptors)
	for i := range work {
		work[i].synced, work[i].err = true, err
	}
}
