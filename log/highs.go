package log

import (
	"errors"
	"fmt"
	"io/fs"

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
	return d.highs[l.tp]
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

func (d *directory) writeHighs(all []HighWatermark) error {
	d.checkpointTurn <- struct{}{}
	defer func() { <-d.checkpointTurn }()
	table := offsetTable{}
	d.mu.Lock()
	for _, h := range all {
		if h.Log.dir == d && d.logs[h.Log.tp] == h.Log && h.Offset > 0 {
			table[h.Log.tp] = h.Offset
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

// replaceHighs writes the file. The caller has the token of the checkpoints.
func (d *directory) replaceHighs(table offsetTable) error {
	if err := checkpoint.WriteOffsets(d.fs, d.path, checkpoint.HighWatermarks, table); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.highs = table
	return nil
}
