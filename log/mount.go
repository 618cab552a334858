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

// checkJournal has the syncs of a pass count only if the file system still writes its journal: see vfs.Journal.
func (d *directory) checkJournal(work []flush) {
	if d.journal == nil {
		return
	}
	err := d.journal.Check()
	if err == nil {
		return
	}
	for i := range work {
		if work[i].err == nil || work[i].retry {
			work[i].err, work[i].retry = err, false
		}
	}
}
