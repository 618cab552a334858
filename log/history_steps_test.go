package log_test

import (
	"fmt"
	"strings"
	"time"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
)

// pickConfig is one of the kinds of topics, with sizes that make small logs roll, expire and index as large ones do.
func (h *history) pickConfig() log.Config {
	c := log.DefaultConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs, c.RetentionBytes, c.FileDeleteDelayMs = 2500, 300, 20_000, 9_000, 1000
	switch h.rng.IntN(8) {
	case 0:
		c.Durable = false
	case 1:
		c.Durable, c.FlushMessages = false, 3
	case 2:
		c.SegmentBytes = 1 << 20
	case 3:
		c.SegmentBytes = 1300 // rolls at nearly every append
	case 4:
		c.Compact, c.Delete, c.MinCleanableRatio = true, false, 0
	}
	return c
}

func (h *history) pick() *part {
	if h.rng.IntN(10) < 7 {
		return h.parts[h.hot[h.rng.IntN(len(h.hot))]]
	}
	names := h.names()
	return h.parts[names[h.rng.IntN(len(names))]]
}

func (h *history) step() {
	p := h.pick()
	l := h.logs[p.tp]
	switch k := h.rng.IntN(100); {
	case k < 44:
		h.touch(p.tp)
		for range 1 + h.rng.IntN(4) {
			h.append(p)
		}
		if h.rng.IntN(2) == 0 {
			h.flush(p)
		}
	case k < 54:
		h.say("pass")
		time.Sleep(10 * time.Millisecond)
		h.store.Pass()
	case k < 60:
		h.truncate(p, l)
	case k < 61:
		h.reset(p, l)
	case k < 66:
		h.deleteRecords(p, l)
	case k < 71:
		h.retain()
	case k < 76:
		h.checkpoint()
	case k < 79:
		h.delete(p, l)
	case k < 82:
		p.epoch += protocol.LeaderEpoch(1 + h.rng.IntN(3))
		if h.rng.IntN(2) == 0 {
			h.say("%s: epoch %d begins at %d", p.tp, p.epoch, p.end())
			h.touch(p.tp)
			if _, err := l.BeginEpoch(p.epoch); err != nil {
				h.failf("begin epoch %d of %s: %w", p.epoch, p.tp, err)
			}
		}
	case k < 84:
		h.say("files that are due are removed")
		time.Sleep(2 * time.Second)
		h.store.RemoveDue()
	case k < 85:
		h.store.CloseIdle()
	case k < 87:
		h.clean()
	case k < 93:
		h.stepMetadata()
	case k < 97:
		if h.crashIn = h.rng.IntN(12); h.crashIn == 0 {
			survive := h.survival()
			h.say("power cut, surviving %.2f", survive)
			h.crash(survive)
		}
	default:
		h.stop()
		if h.err == nil && h.left == nil {
			h.open()
		}
	}
}

// append adds a batch, as a producer does: plain or idempotent, now and then one that the log has already.
func (h *history) append(p *part) {
	l := h.logs[p.tp]
	w, raw := h.batch(p)
	var info log.AppendInfo
	o := log.AppendOptions{Epoch: p.epoch, Origin: log.Client}
	if w.producer < 0 && h.rng.IntN(4) == 0 { // as a follower
		o.Origin = log.Replica
		batch.Place(raw, w.base, w.epoch)
	}
	if err := l.Append(raw, o, &info); err != nil {
		h.failf("append to %s at %d: %w", p.tp, w.base, err)
		return
	}
	if info.Duplicate || info.BaseOffset != w.base || info.NextOffset != w.next {
		h.failf("append to %s: %+v, want %d to %d", p.tp, info, w.base, w.next)
		return
	}
	w.bytes = raw
	p.add(w)
	if h.serving {
		h.say("%s: append %d to %d, epoch %d, producer %d sequence %d", p.tp, w.base, w.next, w.epoch, w.producer, w.sequence)
	}
}

// batch makes the next one of a partition.
func (h *history) batch(p *part) (written, []byte) {
	b := batch.NewBuilder()
	b.LeaderEpoch = p.epoch
	w := written{base: p.end(), epoch: p.epoch, producer: -1, sequence: protocol.NoSequence}
	if h.rng.IntN(2) == 0 {
		w.producer = protocol.ProducerID(h.rng.IntN(3))
		w.pepoch, w.sequence = nextSequence(p.sent(), w.producer)
		if w.sequence > 0 && h.rng.IntN(12) == 0 {
			w.pepoch, w.sequence = w.pepoch+1, 0
		}
		b.ProducerID, b.ProducerEpoch, b.BaseSequence = w.producer, w.pepoch, w.sequence
	}
	now := time.Now().UnixMilli()
	for range 1 + h.rng.IntN(4) {
		h.values++
		ts := now - h.rng.Int64N(5000)
		key := "k"
		if p.config.Compact {
			key = fmt.Sprint("k", h.values%5)
			w.keys = append(w.keys, key)
		}
		b.Add(ts, []byte(key), []byte(strings.Repeat(string(rune('a'+h.values%26)), 1+h.rng.IntN(250))))
		w.times = append(w.times, ts)
	}
	w.next = w.base + protocol.Offset(len(w.times))
	return w, b.Build(nil)
}

func (h *history) flush(p *part) {
	h.say("%s: flush up to %d", p.tp, p.end())
	end := p.end()
	if err := h.logs[p.tp].Flush(); err != nil {
		h.failf("flush %s: %w", p.tp, err)
		return
	}
	if h.left == nil && len(p.batches) > 0 {
		p.durable, p.vouched = max(p.durable, end), true
	}
}

// somewhere is an offset from low to the end, both included.
func (h *history) somewhere(p *part, low protocol.Offset) protocol.Offset {
	return low + protocol.Offset(h.rng.Int64N(int64(max(0, p.end()-low))+1))
}

func (h *history) truncate(p *part, l *log.Log) {
	to := h.somewhere(p, max(p.start, p.high))
	h.say("%s: truncate [%d, %d) to %d", p.tp, p.start, p.end(), to)
	h.touch(p.tp)
	if to >= p.end() {
		return
	}
	p.cutting, p.cut, p.before = true, p.boundary(to), p.batches
	err := l.Truncate(to)
	if err != nil {
		h.failf("truncate %s to %d: %w", p.tp, to, err)
		return
	}
	end := l.LogEndOffset()
	p.batches = upTo(p.batches, end)
	p.first = end
	p.durable, p.start, p.kept = min(p.durable, end), min(p.start, end), min(p.kept, end)
	p.clear()
	if p.end() != end {
		h.failf("%s was truncated to %d, not to %d", p.tp, end, p.end())
	}
}

func (h *history) reset(p *part, l *log.Log) {
	to := h.somewhere(p, 0) + protocol.Offset(h.rng.IntN(20))
	if p.high > 0 {
		to = p.end() + protocol.Offset(h.rng.IntN(20)) // what the leader still has begins later
	}
	h.say("%s: reset [%d, %d) to %d", p.tp, p.start, p.end(), to)
	h.touch(p.tp)
	p.resetting, p.reset, p.before = true, to, p.batches
	if err := l.ResetTo(to); err != nil {
		h.failf("reset %s to %d: %w", p.tp, to, err)
		return
	}
	p.batches, p.first, p.start = nil, to, to
	p.durable, p.kept, p.cleaned, p.removed = 0, 0, 0, nil
	if p.vouched {
		p.durable, p.kept = to, to
	}
	p.clear()
}

func (h *history) deleteRecords(p *part, l *log.Log) {
	limit := p.durable
	if !p.config.Durable {
		limit = p.end()
	}
	if limit <= p.start {
		return
	}
	to := p.start + 1 + protocol.Offset(h.rng.Int64N(int64(limit-p.start)))
	h.say("%s: delete records before %d", p.tp, to)
	h.touch(p.tp)
	if err := l.AdvanceLogStart(to); err != nil {
		h.failf("delete records of %s: %w", p.tp, err)
		return
	}
	p.start = to
}

// retain applies retention to all; any log start may move.
func (h *history) retain() {
	h.say("retention")
	time.Sleep(time.Second)
	for _, p := range h.parts {
		p.starting = p.end()
	}
	h.store.Retain()
	for _, tp := range h.names() {
		p := h.parts[tp]
		start := h.logs[tp].LogStartOffset()
		if start < p.start {
			h.failf("retention took the start of %s back from %d to %d", tp, p.start, start)
		}
		if start > p.start {
			p.start = start
			h.touch(tp)
		}
		p.starting = protocol.NoOffset
	}
}

// clean compacts all that is committed, of those that are compacted.
func (h *history) clean() {
	h.say("clean")
	h.cleanings++
	for _, q := range h.parts {
		if q.config.Compact {
			q.cleaned = max(q.cleaned, q.high)
		}
	}
	for _, tp := range h.hot {
		if q := h.parts[tp]; q.cleaned > 0 {
			h.touch(tp)
		}
	}
	if failed := h.store.CleanAll(); failed > 0 && h.left == nil {
		h.failf("%d logs are not cleaned", failed)
	}
}

// checkpoint writes the directory's tables, and high watermarks as replicas do.
func (h *history) checkpoint() {
	h.say("checkpoint")
	h.store.Checkpoint()
	var high []log.HighWatermark
	for tp, p := range h.parts {
		if p.vouched && h.left == nil {
			p.kept = max(p.kept, p.start)
			p.high = p.durable // from here on no leader asks for a truncation below it
		}
		if p.high > 0 {
			high = append(high, log.HighWatermark{Log: h.logs[tp], Offset: p.high})
		}
	}
	if err := h.store.CheckpointHighWatermarks(high); err != nil {
		h.failf("write high watermarks: %w", err)
	}
}

// delete deletes a partition and makes one of the same name.
func (h *history) delete(p *part, l *log.Log) {
	h.say("%s: delete", p.tp)
	h.touch(p.tp)
	p.deleting, p.before = true, p.batches
	if err := h.store.Delete(l); err != nil {
		h.failf("delete %s: %w", p.tp, err)
		return
	}
	if h.left != nil {
		return
	}
	h.openLog(h.replace(p))
}

// stop ends the store cleanly.
func (h *history) stop() {
	h.say("clean stop")
	h.stops++
	h.stopMetadata()
	if err := h.store.Close(); err != nil {
		h.failf("close: %w", err)
		return
	}
	if h.left != nil {
		return
	}
	for _, p := range h.parts {
		if len(p.batches) > 0 {
			p.durable, p.vouched, p.kept = max(p.durable, p.end()), true, max(p.kept, p.start)
		}
	}
}
