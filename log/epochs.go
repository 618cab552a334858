package log

import (
	"slices"

	"ottla/log/checkpoint"
	"ottla/protocol"
)

// epochs is the log's history of leader epochs (KIP-101): both fields ascend. The log's mutex guards it; the flusher writes it to leader-epoch-checkpoint before the records
// of a new epoch count as durable.
type epochs struct {
	entries []checkpoint.Epoch
	changed bool // since it was last written
	begun   bool // an epoch has begun, or a batch was appended, since the log was loaded
}

// latest is the last epoch, NoLeaderEpoch if there is none.
func (e *epochs) latest() protocol.LeaderEpoch {
	if len(e.entries) == 0 {
		return protocol.NoLeaderEpoch
	}
	return e.entries[len(e.entries)-1].Epoch
}

// assign notes that records from start on are of epoch, unless that is known. As in Kafka's LeaderEpochFileCache, entries that contradict it (an epoch as new or newer, or one
// that begins as late or later) give way.
func (e *epochs) assign(epoch protocol.LeaderEpoch, start protocol.Offset) {
	if epoch < 0 || epoch == e.latest() {
		return
	}
	for n := len(e.entries); n > 0; n-- {
		if last := e.entries[n-1]; last.Epoch < epoch && last.Start < start {
			break
		}
		e.entries = e.entries[:n-1]
	}
	e.entries = append(e.entries, checkpoint.Epoch{Epoch: epoch, Start: start})
	e.changed = true
}

// newerThan is where the first epoch begins that is newer than epoch; NoOffset if there is none.
func (e *epochs) newerThan(epoch protocol.LeaderEpoch) protocol.Offset {
	for _, entry := range e.entries {
		if entry.Epoch > epoch {
			return entry.Start
		}
	}
	return protocol.NoOffset
}

// cutEnd forgets the epochs that begin at end or later.
func (e *epochs) cutEnd(end protocol.Offset) {
	for n := len(e.entries); n > 0 && e.entries[n-1].Start >= end; n-- {
		e.entries = e.entries[:n-1]
		e.changed = true
	}
}

// cutStart forgets the epochs that end at start or before; the one that holds start now begins there.
func (e *epochs) cutStart(start protocol.Offset) {
	n := 0 // entries that begin at start or before
	for n < len(e.entries) && e.entries[n].Start <= start {
		n++
	}
	if n == 0 || n == 1 && e.entries[0].Start == start {
		return
	}
	e.entries = slices.Delete(e.entries, 0, n-1)
	e.entries[0].Start = start
	e.changed = true
}

// endOf is where wanted ended in this log, whose end is logEnd, together with the largest epoch up to wanted that the log knows (KIP-279); (-1, -1) if wanted is unknown or newer than
// all that is here.
func (e *epochs) endOf(wanted protocol.LeaderEpoch, logEnd protocol.Offset) (protocol.LeaderEpoch, protocol.Offset) {
	if wanted < 0 {
		return protocol.NoLeaderEpoch, protocol.NoOffset
	}
	if wanted == e.latest() {
		return wanted, logEnd
	}
	newer := 0 // the first entry with a larger epoch
	for newer < len(e.entries) && e.entries[newer].Epoch <= wanted {
		newer++
	}
	switch {
	case newer == len(e.entries):
		return protocol.NoLeaderEpoch, protocol.NoOffset
	case newer == 0:
		return wanted, e.entries[0].Start
	default:
		return e.entries[newer-1].Epoch, e.entries[newer].Start
	}
}
