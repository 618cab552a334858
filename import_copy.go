package ottla

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"

	"ottla/controller/kraft"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol/config"
)

func compareResources(a, b kraft.Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}

// taken tells whether this broker knows a config and takes its value.
func taken(r kraft.Resource, name, value string) bool {
	scope := config.Scope(r.Type)
	if scope != config.Topic && scope != config.Broker && scope != config.Group {
		return false
	}
	d := config.Lookup(scope, name)
	return d != nil && d.Validate(value) == nil
}

// copyFolder copies the files of a partition that a log is made of, and makes them durable. With link the .log files of closed segments, which nobody writes to any more, are linked;
// all that may be written to (the active segment, indexes, checkpoints) is copied. It returns the bytes.
func copyFolder(from, to string, link bool) (bytes int64, err error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return 0, err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, err
	}
	active := ""
	for _, e := range entries {
		if _, suffix, ok := segment.ParseName(e.Name()); ok && suffix == segment.LogSuffix {
			active = e.Name() // the last by name
		}
	}
	for _, e := range entries {
		if !belongs(e.Name()) {
			continue
		}
		_, suffix, _ := segment.ParseName(e.Name())
		copyIt := copyFile
		if link && suffix == segment.LogSuffix && e.Name() != active {
			copyIt = linkFile
		}
		n, err := copyIt(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	return bytes, vfs.OS{}.SyncDir(to)
}

// belongs tells the files of a log from what interrupted operations have left. A compacted segment that is about to take its place (.swap) belongs to it.
func belongs(name string) bool {
	if _, suffix, ok := segment.ParseName(name); ok {
		switch suffix {
		case segment.LogSuffix, segment.IndexSuffix, segment.TimeIndexSuffix, segment.TxnIndexSuffix, segment.SnapshotSuffix, segment.LogSuffix + ".swap":
			return true
		}
		return false
	}
	return name == "leader-epoch-checkpoint" || name == "partition.metadata"
}

func linkFile(from, to string) (int64, error) {
	if err := os.Link(from, to); err != nil {
		return 0, err
	}
	info, err := os.Stat(to)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func copyFile(from, to string) (n int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close() // read only: nothing to lose
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return n, errors.Join(err, out.Close())
}
