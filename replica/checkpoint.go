package replica

import (
	"log/slog"
	"sync/atomic"
	"time"

	"ottla/log"
	"ottla/protocol"
)

// checkpointDelay is how long high watermarks may move before they are written down (Kafka's replica.high.watermark.checkpoint.interval.ms).
const checkpointDelay = 5 * time.Second

// checkpointer tells when the high watermarks are to be written down: lower bounds, at which a new leader begins, and below which a log can only be damaged, not torn.
type checkpointer struct {
	// dirty is set by the first move since the last write, which also fills wake. Nothing runs while nothing moves.
	dirty atomic.Bool
	wake  chan struct{}
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

// writeCheckpoints has the store write them. An error costs only the bound: it is logged, and the next move tries again.
func (m *Manager) writeCheckpoints() {
	m.checkpoint.dirty.Store(false)
	var all []log.HighWatermark
	for p := range m.table.all() {
		at := protocol.Offset(p.high.Load())
		if !p.begun.Load() {
			at = max(at, p.log.Committed())
		}
		if p.log.Err() == nil {
			all = append(all, log.HighWatermark{Log: p.log, Offset: at})
		}
	}
	if err := m.store.CheckpointHighWatermarks(all); err != nil {
		m.logger.Error("high watermarks not written", slog.Any("error", err))
	}
}

// floor is where the high watermark of a new leadership is at least: never beyond the log, whose end may have been lost.
func floor(l *log.Log, high protocol.Offset) protocol.Offset {
	return min(max(high, l.Committed(), l.LogStartOffset()), l.LogEndOffset())
}
