package log

import (
	"errors"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/log/producer"
	"ottla/log/segment"
	"ottla/protocol"
)

// maxDecompressed bounds what the records of one batch may inflate to.
const maxDecompressed = 256 << 20

// Append adds records to the end of the log and tells in info what it did. It returns once they are in the page cache and readable; DurableEndOffset follows later. The bytes of
// records are patched in place (offsets, epoch, append time) and not kept. It allocates nothing in steady state.
//
// Errors: those of batch.Single and batch.Validate (info.RecordErrors lists the records), MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, those of producer.State.Check,
// NOT_LEADER_OR_FOLLOWER for an epoch older than the log's, OFFSET_OUT_OF_RANGE for a replica's batch that does not follow the end, KAFKA_STORAGE_ERROR (also for want of room, which
// comes back: Kafka's clients retry it).
func (l *Log) Append(records []byte, o AppendOptions, info *AppendInfo) error {
	if err := l.ensure(); err != nil {
		return err
	}
	info.reset(protocol.Offset(l.start.Load()))
	if o.Origin == Client {
		if err := l.dir.room.refused(len(records)); err != nil {
			return err
		}
	}
	c := l.config.Load()
	if o.Origin == Replica {
		return l.appendReplica(records, c, info)
	}
	var h batch.Header
	now := nowMs()
	records, err := l.prepare(records, &h, o, c, now, info)
	if err != nil {
		return err
	}
	if err := l.appendOne(records, &h, o, c, now, info); err != nil {
		l.dir.report()
		return err
	}
	if !info.Duplicate {
		l.appended(c, len(records))
	}
	return nil
}

// prepare is what can be done before the lock: checks, and the rewriting that the topic's configuration demands. The batch that is to be written is returned.
func (l *Log) prepare(records []byte, h *batch.Header, o AppendOptions, c *Config, now int64, info *AppendInfo) ([]byte, error) {
	if o.Origin == Internal {
		return records, l.checkInternal(records, h)
	}
	records, err := batch.Single(records, h)
	if err != nil {
		info.LogStartOffset = protocol.NoOffset // Kafka refuses this before it looks at the partition
		return nil, err
	}
	if err := l.checkSize(h, c); err != nil {
		return nil, err
	}
	if err := l.validate(records, h, c, now, info); err != nil {
		return nil, err
	}
	if c.Recompress && c.Codec != h.Attributes.Codec() {
		if records, err = batch.Recompress(records, c.Codec, c.Level, maxDecompressed); err != nil {
			return nil, err
		}
		if err := batch.ParseHeader(records, h); err != nil {
			return nil, err
		}
		if err := l.checkSize(h, c); err != nil {
			return nil, err
		}
	}
	if c.Timestamps.LogAppendTime {
		batch.StampLogAppendTime(records, now)
		h.MaxTimestamp, info.LogAppendTime = now, now
	}
	return records, nil
}

func (l *Log) checkInternal(records []byte, h *batch.Header) error {
	if err := batch.ParseHeader(records, h); err != nil {
		return err
	}
	if h.Size() != len(records) || !batch.CheckCRC(records) {
		return protocol.Errorf(kerr.CorruptMessage, "internal append to %s: not one whole batch", l.tp)
	}
	return nil
}

func (l *Log) checkSize(h *batch.Header, c *Config) error {
	switch {
	case h.Size() > c.MaxMessageBytes:
		return protocol.Errorf(kerr.MessageTooLarge, "the record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d", l.tp, h.Size(), c.MaxMessageBytes)
	case int64(h.Size()) > c.SegmentBytes:
		return protocol.Errorf(kerr.RecordListTooLarge, "message batch size is %d bytes in append to partition %s, which exceeds the maximum configured segment size of %d", h.Size(), l.tp, c.SegmentBytes)
	}
	return nil
}

// validate looks at every record before anything is written.
func (l *Log) validate(records []byte, h *batch.Header, c *Config, now int64, info *AppendInfo) error {
	err := batch.Validate(records, h, batch.ValidateOptions{
		Partition: l.tp, KeysRequired: c.Compact, Now: now, Timestamps: c.Timestamps, MaxDecompressed: maxDecompressed,
	})
	if err == nil {
		return nil // before the variable that follows, which is allocated
	}
	var rejected *batch.RecordErrors
	if errors.As(err, &rejected) {
		info.RecordErrors = append(info.RecordErrors, rejected.Records...)
	}
	return err
}

// appendOne is the part under the lock: sequence, offset, bytes.
func (l *Log) appendOne(records []byte, h *batch.Header, o AppendOptions, c *Config, now int64, info *AppendInfo) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(o.Epoch); err != nil {
		return err
	}
	if h.HasProducer() && !h.Attributes.Control() {
		verdict, original, err := l.producers.Check(h)
		if err != nil {
			return err
		}
		if verdict == producer.Duplicate {
			info.Duplicate = true
			info.BaseOffset, info.NextOffset, info.LogAppendTime = original.FirstOffset(), original.LastOffset+1, original.Timestamp // as Kafka, under CreateTime too
			return nil
		}
	}
	base := protocol.Offset(l.end.Load())
	batch.Place(records, base, o.Epoch)
	h.BaseOffset, h.LeaderEpoch = base, o.Epoch
	active, err := l.room(int64(len(records)), h, c, now)
	if err != nil {
		return err
	}
	if err := l.write(active, records); err != nil {
		return err
	}
	l.added(active, h, records, c, now)
	info.BaseOffset, info.NextOffset, info.Bytes = base, h.NextOffset(), len(records)
	return nil
}

// writable is called under mu.
func (l *Log) writable(epoch protocol.LeaderEpoch) error {
	if err := l.Err(); err != nil {
		return storageError(err)
	}
	if l.reshaping {
		return protocol.Errorf(kerr.NotLeaderForPartition, "%s is being truncated", l.tp)
	}
	if epoch >= 0 && epoch < l.epochs.latest() {
		return protocol.Errorf(kerr.NotLeaderForPartition, "leader epoch %d of %s is over: %d has begun", epoch, l.tp, l.epochs.latest())
	}
	return nil
}

// write puts bytes of whole batches at the active segment's end. What a failed write leaves is cut off again. A full disk, or no descriptor left, is an answer to the client; anything else, and a
// cut that fails, takes the whole directory offline. The caller holds mu.
func (l *Log) write(active *segment.Segment, records []byte) error {
	err := active.Write(records)
	if err == nil {
		return nil
	}
	if segment.Torn(err) || !passing(err) {
		l.dir.failed(err)
	}
	return storageError(err)
}

// added makes a written batch part of the log, in this order: index, epoch, producer, position, log end. The caller holds mu.
func (l *Log) added(active *segment.Segment, h *batch.Header, b []byte, c *Config, now int64) {
	active.Added(h, c.IndexIntervalBytes)
	l.epochs.assign(h.LeaderEpoch, h.BaseOffset)
	l.epochs.begun = true
	l.applied(h, b, now)
	l.recent.add(appended, active, h.NextOffset(), active.Size())
	l.appends += int64(h.Count)
	l.asFound = false
	l.end.Store(int64(h.NextOffset()))
	l.grown(h.Size(), c)
}

// applied tells the producer state of a batch that is in the log.
func (l *Log) applied(h *batch.Header, b []byte, now int64) {
	if !h.Attributes.Control() {
		l.producers.Applied(h, now)
		return
	}
	if !h.HasProducer() {
		return
	}
	if m, ok, err := batch.ParseMarker(b, maxDecompressed); err == nil && ok {
		l.producers.AppliedMarker(h, m, now)
	}
}

// appendReplica writes batches that carry their offsets already, all in one write. They follow the log's end: offsets and epochs never fall.
func (l *Log) appendReplica(records []byte, c *Config, info *AppendInfo) error {
	first, last, n, gaps, err := checkReplica(records)
	if err != nil {
		return err
	}
	if l.cleaned.Load() == neverCleaned && (gaps || first.BaseOffset > protocol.Offset(l.end.Load())) {
		// The leader's log was compacted, be it long ago.
		if err := l.noteCleaning(); err != nil {
			return storageError(err)
		}
	}
	now := nowMs()
	err = func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.writable(first.LeaderEpoch); err != nil {
			return err
		}
		if end := protocol.Offset(l.end.Load()); first.BaseOffset < end {
			return protocol.Errorf(kerr.OffsetOutOfRange, "append to %s at offset %d, before its end %d", l.tp, first.BaseOffset, end)
		}
		span := first
		span.LastOffsetDelta = 0
		if d := last.LastOffset() - first.BaseOffset; d <= math.MaxInt32 {
			span.LastOffsetDelta = int32(d)
		} else {
			return protocol.Errorf(kerr.CorruptMessage, "append to %s spans %d offsets", l.tp, d)
		}
		active, err := l.room(int64(n), &span, c, now)
		if err != nil {
			return err
		}
		if err := l.write(active, records); err != nil {
			return err
		}
		var h batch.Header
		for rest := records; len(rest) > 0; rest = rest[h.Size():] {
			if err := batch.ParseHeader(rest, &h); err != nil {
				panic(err) // checkReplica has seen it
			}
			l.added(active, &h, rest[:h.Size()], c, now)
		}
		info.BaseOffset, info.NextOffset, info.Bytes = first.BaseOffset, last.NextOffset(), n
		return nil
	}()
	if err != nil {
		l.dir.report()
		return err
	}
	l.appended(c, n)
	return nil
}

// checkReplica checks every batch of what a leader has sent, and that they follow one another; gaps says that there are some between their offsets.
func checkReplica(records []byte) (first, last batch.Header, n int, gaps bool, err error) {
	if len(records) == 0 {
		return first, last, 0, false, protocol.Errorf(kerr.CorruptMessage, "nothing to append")
	}
	for rest := records; len(rest) > 0; {
		var h batch.Header
		if err := batch.ParseHeader(rest, &h); err != nil {
			return first, last, 0, false, err
		}
		if h.Size() > len(rest) || !batch.CheckCRC(rest) {
			return first, last, 0, false, protocol.Errorf(kerr.CorruptMessage, "record batch at offset %d is corrupt", h.BaseOffset)
		}
		if n == 0 {
			first = h
		} else if h.BaseOffset <= last.LastOffset() || h.LeaderEpoch < last.LeaderEpoch {
			return first, last, 0, false, protocol.Errorf(kerr.CorruptMessage, "record batch at offset %d of epoch %d follows offset %d of epoch %d", h.BaseOffset, h.LeaderEpoch, last.LastOffset(), last.LeaderEpoch)
		}
		gaps = gaps || n > 0 && h.BaseOffset > last.NextOffset()
		last, n = h, n+h.Size()
		rest = rest[h.Size():]
	}
	return first, last, n, gaps, nil
}

// flushDelay is how long an append that nobody waits for may stay in the page cache alone.
const flushDelay = 5 * time.Millisecond

// appended calls the flusher as the configuration demands, and counts. No lock is held.
func (l *Log) appended(c *Config, bytes int) {
	l.dir.metrics().appended(bytes)
	l.dir.room.appended()
	f := l.dir.flusher
	switch {
	case c.Durable:
		f.touch(l, f.after(flushDelay))
	case c.FlushMessages < math.MaxInt64 && l.unflushed() >= c.FlushMessages:
		f.touch(l, urgent)
	case l.rolled.Load() && l.rolled.Swap(false):
		f.touch(l, f.after(flushDelay))
	case c.FlushMs < math.MaxInt64:
		f.touch(l, f.after(time.Duration(min(c.FlushMs, math.MaxInt64/int64(time.Millisecond)))*time.Millisecond))
	}
}

func (l *Log) unflushed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appends
}

// RequestFlush says that a reply or a consumer waits for what was appended: the flusher goes at once.
func (l *Log) RequestFlush() {
	if l.loaded.Load() && l.durable.Load() < l.end.Load() {
		l.dir.flusher.touch(l, urgent)
	}
}

// WantFlush is RequestFlush by a caller who comes to Store.Settle when it has nothing more to append: nobody is woken meanwhile.
func (l *Log) WantFlush() {
	if l.loaded.Load() && l.durable.Load() < l.end.Load() {
		l.dir.flusher.want(l)
	}
}
