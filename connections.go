package ottla

import "golang.org/x/sys/unix"

// descriptors is how many files and connections the process may have open. Go has raised the soft limit to the hard one.
func descriptors() (uint64, error) {
	var r unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
	return r.Cur, err
}

// connectionLimit is max.connections, or as many as leave a quarter of the descriptors to files: a node that cannot open its next segment loses a log directory, whereas a
// connection that is refused tries again.
func connectionLimit(configured int64, descriptors uint64) int {
	return int(min(uint64(configured), descriptors/4*3))
}
