package log

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"

	"ottla/log/checkpoint"
	"ottla/protocol"
)

// Log.cleaned is the offset below which cleanings have seen every record. It may be lower than that, which only costs work; if it were higher, a tombstone could go whose value stays.
// So it falls with the log's end, and the table on disk falls before the files do. neverCleaned is a log without gaps in its offsets; the table has no line for it.
const neverCleaned = -1

// readCleaned reads the table of the last run. Without it everything counts as new.
func (d *directory) readCleaned() (err error) {
	d.cleans, err = checkpoint.ReadOffsets(d.fs, d.path, checkpoint.Cleaned)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, checkpoint.ErrMalformed):
		d.logger().Warn("checkpoint is not used", slog.String("directory", d.path), slog.Any("error", err))
		return nil
	}
	return err
}

// writeCleaned writes the table, if it says something new.
func (d *directory) writeCleaned() error {
	d.mu.Lock()
	table := offsetTable{}
	for tp := range d.folders {
		if o, ok := d.cleans[tp]; ok {
			table[tp] = o
		}
	}
	for tp, l := range d.logs {
		if !l.loaded.Load() || l.offline.Load() != nil {
			continue // of one that is offline the last word holds
		}
		delete(table, tp)
		if o := protocol.Offset(l.cleaned.Load()); o >= 0 {
			table[tp] = o
		}
	}
	same := len(table) == len(d.cleans)
	for tp, o := range table {
		same = same && d.cleans[tp] == o
	}
	d.mu.Unlock()
	if same {
		return nil
	}
	if err := checkpoint.WriteOffsets(d.fs, d.path, checkpoint.Cleaned, table); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cleans = table
	return nil
}

// loadCleaned takes over what the table says of a log that has been loaded. What it says of a folder that nothing vouches for is of a deleted topic of the same name; what it says of
// records that the log has lost is of no use.
func (l *Log) loadCleaned() {
	d := l.dir
	d.mu.Lock()
	o, ok := d.cleans[l.tp]
	_, vouched := d.vouch[l.tp]
	d.mu.Unlock()
	switch {
	case !ok || !vouched && l.active() == nil:
		o = neverCleaned
	case !vouched:
		o = 0 // there may be gaps: recovery has gone by that
	case int64(o) > l.end.Load():
		o = 0
	}
	l.cleaned.Store(int64(o))
}

// noteCleaning has a line in the table before the first gap can be made.
func (l *Log) noteCleaning() error {
	l.takeTurn()
	defer l.endTurn()
	if l.Err() != nil {
		return errReshaped
	}
	if !l.cleaned.CompareAndSwap(neverCleaned, 0) {
		return nil
	}
	err := l.checkpointNow()
	if err != nil {
		l.cleaned.Store(neverCleaned) // to be tried again
	}
	return err
}

// gapless is the offset from which on every segment begins where the one before it ends: past what was durable and what was cleaned. It is out of reach if no checkpoint tells.
func (l *Log) gapless() protocol.Offset {
	point, _, known := l.dir.checkpointed(l.tp)
	if !known {
		return math.MaxInt64
	}
	l.dir.mu.Lock()
	defer l.dir.mu.Unlock()
	return max(point, l.dir.cleans[l.tp])
}

// contiguous tells whether the log's offsets have no gaps.
func (l *Log) contiguous(c *Config) bool {
	l.dir.mu.Lock()
	defer l.dir.mu.Unlock()
	_, cleaned := l.dir.cleans[l.tp]
	return !c.Compact && !cleaned
}
