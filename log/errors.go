package log

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

var (
	// ErrLost says that a folder which this node has made durable is missing: what it held is gone.
	ErrLost = errors.New("partition folder is missing")
	// ErrDamaged says that records below the recovery point, which were durable, cannot be read any more.
	ErrDamaged = errors.New("durable records are damaged")
	// ErrMismatch says that log directories do not belong together, or not to this node or cluster.
	ErrMismatch = errors.New("log directory belongs elsewhere")
	// ErrOffline says that no log directory is left that can be written to.
	ErrOffline = errors.New("the last log directory is offline")
	// ErrClosed says that the log was closed or deleted.
	ErrClosed = errors.New("log is closed")
)

// storageError makes err one that clients see as KAFKA_STORAGE_ERROR, which they retry.
func storageError(err error) error {
	return fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
}

// damaged makes what the files of a segment say of themselves ErrDamaged, unless it is that already.
func damaged(err error) error {
	var d *segment.DamageError
	if errors.As(err, &d) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// passing tells whether err is about room or about descriptors: nothing is lost, and both come back. Anything else that a write meets is the end of its directory.
func passing(err error) bool {
	return vfs.DiskFull(err) || noDescriptor(err)
}

// noDescriptor tells whether err is about open files: nothing was done.
func noDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func outOfRange(o, start, end protocol.Offset) error {
	return protocol.Errorf(kerr.OffsetOutOfRange, "offset %d is out of range [%d, %d]", o, start, end)
}
