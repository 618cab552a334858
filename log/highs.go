package log

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"ottla/log/checkpoint"
	"ottla/protocol"
)

// The high watermarks are the replicas' to know. Their file, replication-offset-checkpoint, is the directory's to write: it knows partitions by name, and what it says of a deleted topic
// may not be believed of the next one of the name. A bound that is too high would make damage of an ordinary torn tail.

// HighWatermark is what of a log was committed, at least.
type HighWatermark struct {
	Log    *Log
	Offset protocol.Offset
}

// CheckpointHighWatermarks writes down what is given, durably, and nothing else: a file for each log directory that is online. Logs that were deleted meanwhile are left out.
func (s *Store) CheckpointHighWatermarks(all []HighWatermark) error {
	var errs []error
	for _, d := range s.dirs {
		if d.err() != nil {
			continue
		}
		if err := d.writeHighs(all); err != nil {
			errs = append(errs, fmt.Errorf("high watermarks of %s: %w", d.path, err))
		}
	}
	return errors.Join(errs...)
}

// Committed is a lower bound of the log's high watermark: the one that was written down last, 0 if there is none.
func (l *Log) Committed() protocol.Offset { return l.dir.committed(l) }

func (d *directory) committed(l *Log) protocol.Offset {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, vouched := d.vouch[l.tp]; !vouched || id != l.id {
		return 0
	}
	o := d.highs[l.tp]
	if low, ok := d.lowered[l.tp]; ok {
		o = min(o, low)
	}
	return o
}

// lowerHigh has the bound of a log be no higher than the log's end, from now on; the next checkpoint writes it down. Records that take the offsets later are others.
func (l *Log) lowerHigh() {
	d, end := l.dir, protocol.Offset(l.end.Load())
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.lowered[l.tp]
	if !ok {
		o = d.highs[l.tp]
	}
	if o > end {
		d.lowered[l.tp] = end
		d.dirty.Store(true)
	}
}

// writeLowered writes down what lowerHigh has found. The caller has the token of the checkpoints.
func (d *directory) writeLowered() error {
	d.mu.Lock()
	none, table := len(d.lowered) == 0, maps.Clone(d.highs)
	d.mu.Unlock()
	if none {
		return nil
	}
	return d.replaceHighs(table)
}

// readHighs reads the file. Without it only the recovery points tell damage from a torn end.
func (d *directory) readHighs() (err error) {
	d.highs, err = checkpoint.ReadOffsets(d.fs, d.path, checkpoint.HighWatermarks)
	switch {
	case errors.Is(err, checkpoint.ErrMalformed):
		d.logger().Warn("high watermarks are not known from before", "directory", d.path, "error", err)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// bound is the offset, unless a truncation has overtaken it.
func (h HighWatermark) bound() protocol.Offset {
	switch l := h.Log; {
	case !l.loaded.Load():
		return h.Offset
	case l.config.Load().Durable:
		return min(h.Offset, protocol.Offset(l.durable.Load()))
	default:
		return min(h.Offset, protocol.Offset(l.end.Load()))
	}
}

func (d *directory) writeHighs(all []HighWatermark) error {
	d.checkpointTurn <- struct{}{}
	defer func() { <-d.checkpointTurn }()
	table := offsetTable{}
	d.mu.Lock()
	for _, h := range all {
		if h.Log.dir == d && d.logs[h.Log.tp] == h.Log {
			if o := h.bound(); o > 0 {
				table[h.Log.tp] = o
			}
		}
	}
	d.mu.Unlock()
	return d.replaceHighs(table)
}

// dropHighs has the file know nothing of partitions that begin.
func (d *directory) dropHighs(added []*flush) error {
	d.checkpointTurn <- struct{}{}
	defer func() { <-d.checkpointTurn }()
	table := offsetTable{}
	d.mu.Lock()
	for tp, o := range d.highs {
		table[tp] = o
	}
	d.mu.Unlock()
	known := len(table)
	for _, w := range added {
		delete(table, w.l.tp)
	}
	if len(table) == known {
		return nil
	}
	return d.replaceHighs(table)
}

// replaceHighs writes the file, with table, which it takes over, no higher than the logs allow. The caller has the token of the checkpoints.
func (d *directory) replaceHighs(table offsetTable) error {
	d.mu.Lock()
	lowered := maps.Clone(d.lowered)
	d.mu.Unlock()
	for tp, o := range lowered {
		if table[tp] > o {
			table[tp] = o
		}
	}
	if err := checkpoint.WriteOffsets(d.fs, d.path, checkpoint.HighWatermarks, table); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.highs = table
	maps.DeleteFunc(d.lowered, func(tp protocol.TopicPartition, o protocol.Offset) bool {
		written, ok := lowered[tp]
		return ok && written == o
	})
	return nil
}
