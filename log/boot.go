package log

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

// boot tells what an unclean stop may have taken. In the same run of the machine only the process died, and every byte that it wrote is in the page cache. In another one, or when
// that is not known, there was a power cut: what was not durable may be anything. The directory's mutex guards the suspects.
type boot struct {
	id       string                               // of this run of the machine; empty if it is not known
	same     bool                                 // the directory was changed last in this run
	suspects map[protocol.TopicPartition]struct{} // not recovered since a power cut, whatever has happened since
	changed  bool                                 // suspects are not those of the file
}

// readBoot compares the run of the machine with the one that the directory remembers. A file that cannot be believed is as good as none.
func (d *directory) readBoot() error {
	d.boot = boot{id: vfs.BootID(d.fs), suspects: map[protocol.TopicPartition]struct{}{}}
	last, err := checkpoint.ReadBoot(d.fs, d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, checkpoint.ErrMalformed):
		d.logger().Warn("boot id is not known from before: an unclean stop counts as a power cut", slog.String("directory", d.path), slog.Any("error", err))
		return nil
	case err != nil:
		return err
	}
	if d.boot.same = d.boot.id != "" && d.boot.id == last.ID; d.boot.same {
		for _, tp := range last.Suspects {
			d.boot.suspects[tp] = struct{}{}
		}
	}
	return nil
}

// noteBoot makes this run of the machine the one in which the directory was changed last; before the first change. Until they are recovered, the partitions that a power cut
// has met stay suspects: this process may die as well before it comes to them.
func (d *directory) noteBoot() error {
	if d.boot.same || d.boot.id == "" {
		return nil
	}
	d.mu.Lock()
	if !d.clean {
		for tp := range d.folders {
			d.boot.suspects[tp] = struct{}{}
		}
	}
	d.boot.changed = true
	d.mu.Unlock()
	err := d.writeBoot()
	if err != nil && passing(err) {
		// The old note stays, and says at worst that there was a power cut. The next checkpoint tries again.
		d.logger().Warn("boot id is not noted", slog.String("directory", d.path), slog.Any("error", err))
		d.dirty.Store(true)
		return nil
	}
	return err
}

// writeBoot writes the suspects down if there are fewer than before.
func (d *directory) writeBoot() error {
	d.mu.Lock()
	changed, suspects := d.boot.changed, slices.Collect(maps.Keys(d.boot.suspects))
	d.boot.changed = false
	d.mu.Unlock()
	if !changed {
		return nil
	}
	err := checkpoint.WriteBoot(d.fs, d.path, checkpoint.Boot{ID: d.boot.id, Suspects: suspects})
	if err != nil {
		d.mu.Lock()
		d.boot.changed = true
		d.mu.Unlock()
	}
	return err
}

// wholeCache tells whether all that was ever written to the partition's files can be read: since the last time that it was known to be whole, only processes died.
func (d *directory) wholeCache(tp protocol.TopicPartition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, suspect := d.boot.suspects[tp]
	return d.boot.same && !suspect
}

// suspected tells whether a power cut may have taken from a partition what this process has not looked at yet.
func (d *directory) suspected(tp protocol.TopicPartition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, suspect := d.boot.suspects[tp]
	return suspect
}

// acquit takes a partition off the suspects: what it has now was read and checked, and what was cut is durably gone.
func (d *directory) acquit(tp protocol.TopicPartition) {
	d.mu.Lock()
	_, suspect := d.boot.suspects[tp]
	if suspect {
		delete(d.boot.suspects, tp)
		d.boot.changed = true
	}
	d.mu.Unlock()
	if suspect && d.boot.id != "" {
		d.changed()
	}
}
