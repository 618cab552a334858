package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"path"

	"ottla/log/vfs"
)

// ErrMalformed says that a file is there but cannot be what it should be.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Sizes beyond which a file is malformed, in bytes.
const (
	maxSmall = 64 << 10  // one fact, or a few properties
	maxTable = 256 << 20 // a line per partition or epoch: about a million partitions with the longest names
)

// temporary is what Kafka appends to a name while it writes: it knows such leftovers as its own.
const temporary = ".tmp"

// read is the whole file, at most limit bytes.
func read(fsys vfs.FS, dir, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenReadOnly(path.Join(dir, name))
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, limit)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Join(dir, name), err)
	}
	return data, nil
}

func readAll(f vfs.File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, malformed("%d bytes, at most %d are expected", size, limit)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err == io.EOF {
		err = nil // an empty file, or one that was cut meanwhile: what there is
	}
	return data[:n], err
}

// replace makes data the durable content of dir/name.
func replace(fsys vfs.FS, dir, name string, data []byte) error {
	if err := replaceFile(fsys, dir, name, data); err != nil {
		return fmt.Errorf("write %s: %w", path.Join(dir, name), err)
	}
	return nil
}

func replaceFile(fsys vfs.FS, dir, name string, data []byte) error {
	target := path.Join(dir, name)
	if err := fsys.RemoveAll(target + temporary); err != nil { // of a writer that was interrupted
		return err
	}
	f, err := fsys.Create(target + temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := fsys.Rename(target+temporary, target); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
