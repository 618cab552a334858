package replica

import (
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ottla/log"
	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

// checkpointDelay is how long high watermarks may move before they are written down (Kafka's replica.high.watermark.checkpoint.interval.ms).
const checkpointDelay = 5 * time.Second

// checkpointer keeps replication-offset-checkpoint in every log directory: lower bounds of the high watermarks. A new leader begins there, and what lies below can
// only be damaged, not torn.
type checkpointer struct {
	fs     vfs.FS
	dirs   []string
	logger *slog.Logger
	// dirty is set by the first move since the last write, which also fills wake. Nothing runs while nothing moves.
	dirty atomic.Bool
	wake  chan struct{}

	mu sync.Mutex
	// found is what the files said at the start. It holds for partitions that have not been used since.
	found map[protocol.TopicPartition]protocol.Offset
}

func (c *checkpointer) open(fsys vfs.FS, dirs []string, logger *slog.Logger) {
	c.fs, c.dirs, c.logger, c.wake = fsys, dirs, logger, make(chan struct{}, 1)
	c.found = make(map[protocol.TopicPartition]protocol.Offset)
	for _, dir := range dirs {
		offsets, err := checkpoint.ReadOffsets(fsys, dir, checkpoint.HighWatermarks)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.logger.Warn("high watermarks are not known from before", slog.String("directory", dir), slog.Any("error", err))
		}
		for tp, at := range offsets {
			c.found[tp] = at
		}
	}
}

// at is the high watermark found at the start, 0 if there was none.
func (c *checkpointer) at(tp protocol.TopicPartition) protocol.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found[tp]
}

// forget drops what was found for a partition that is deleted, and has the files follow: another one may get its name.
func (c *checkpointer) forget(tp protocol.TopicPartition) {
	c.mu.Lock()
	delete(c.found, tp)
	c.mu.Unlock()
	c.moved()
}

// moved says that a high watermark is not what is written down.
func (c *checkpointer) moved() {
	if c.dirty.Load() || !c.dirty.CompareAndSwap(false, true) {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// writeCheckpoints writes one file for each log directory. An error costs only the bound: it is logged, and the next move tries again.
func (m *Manager) writeCheckpoints() {
	m.checkpoint.dirty.Store(false)
	tables := make(map[string]map[protocol.TopicPartition]protocol.Offset, len(m.checkpoint.dirs))
	for _, dir := range m.checkpoint.dirs {
		tables[dir] = make(map[protocol.TopicPartition]protocol.Offset)
	}
	for p := range m.table.all() {
		at, tp := protocol.Offset(p.high.Load()), p.log.TopicPartition()
		if !p.begun.Load() {
			at = max(at, m.checkpoint.at(tp))
		}
		if table := tables[p.log.Directory()]; table != nil && at > 0 && p.log.Err() == nil {
			table[tp] = at
		}
	}
	for dir, table := range tables {
		if err := checkpoint.WriteOffsets(m.checkpoint.fs, dir, checkpoint.HighWatermarks, table); err != nil {
			m.logger.Error("high watermarks not written", slog.String("directory", dir), slog.Any("error", err))
		}
	}
}

// floor is where the high watermark of a new leadership is at least: never beyond the log, whose end may have been lost.
func (m *Manager) floor(l *log.Log, high protocol.Offset) protocol.Offset {
	at := max(high, m.checkpoint.at(l.TopicPartition()))
	return min(max(at, l.LogStartOffset()), l.LogEndOffset())
}
