package log

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"ottla/log/producer"
	"ottla/log/segment"
	"ottla/protocol"
)

// Log is one partition's records. All methods are safe for concurrent use; appends are ordered by the callers' arrival. The first use loads what is on disk.
type Log struct {
	tp       protocol.TopicPartition
	id       protocol.TopicID
	dir      *directory
	path     string // of the folder
	observer Observer

	demand  demand // of who opened it, before the first use
	config  atomic.Pointer[Config]
	loaded  atomic.Bool
	offline atomic.Pointer[error]

	segments atomic.Pointer[[]*segment.Segment] // ascending and immutable; the last one is written to; empty before the first append
	start    atomic.Int64                       // log start offset
	end      atomic.Int64                       // log end offset; stored after everything below it is readable
	durable  atomic.Int64                       // durable end offset
	cleaned  atomic.Int64                       // see cleaned.go
	recent   recent

	bad      atomic.Pointer[ranges]
	suspect  atomic.Bool  // a read has met damage: the scrub comes at once
	scrubbed atomic.Int64 // milliseconds since 1970: when the scrub had gone through the log; 0 if it has not in this run

	flushAt atomic.Int64  // when the flusher is to come, on its clock; 0: it is not
	seenEnd int64         // the log end that the housekeeper saw last
	rolled  atomic.Bool   // a new file wants the flusher, whatever the durability
	turn    chan struct{} // the token of who loads, syncs or reshapes the files

	newestSnapshot protocol.Offset // of the producer snapshots on disk; belongs to who has the token

	passedBy atomic.Bool // the flusher came while the token was taken

	mu        sync.Mutex
	reshaping bool // segments are being replaced: no appends
	asFound   bool // nothing was appended or cut since the log was loaded after a clean stop
	epochs    epochs
	producers producer.State
	pending   pending
	appends   int64 // records since the last flush

	sinceSnapshot int64 // bytes appended since a producer snapshot was captured
	rollMs        int64 // segment.ms less this segment's jitter
	createdMs     int64 // when the active segment was made
}

// pending is what the next flush has to do besides the active segment's bytes.
type pending struct {
	folder    bool               // the folder is new: manifest, its own name
	names     bool               // files in the folder are new
	sealed    []*segment.Segment // not synced since they were rolled, oldest first
	snapshots []snapshot         // captured when a segment was rolled
}

func newLog(d *directory, tp protocol.TopicPartition, id protocol.TopicID, c Config, o Observer) *Log {
	l := &Log{tp: tp, id: id, dir: d, path: d.join(tp.String()), observer: o, turn: make(chan struct{}, 1)}
	l.config.Store(&c)
	l.segments.Store(new([]*segment.Segment))
	return l
}

// TopicPartition names the partition.
func (l *Log) TopicPartition() protocol.TopicPartition { return l.tp }

// TopicID is the topic's id.
func (l *Log) TopicID() protocol.TopicID { return l.id }

// Directory is the log directory that holds the log.
func (l *Log) Directory() string { return l.dir.path }

// LogStartOffset is the first offset that may be read.
func (l *Log) LogStartOffset() protocol.Offset {
	_ = l.ensure() // a log that cannot be loaded is empty; whoever uses it meets the error
	return protocol.Offset(l.start.Load())
}

// LogEndOffset is one past the last record.
func (l *Log) LogEndOffset() protocol.Offset {
	_ = l.ensure()
	return protocol.Offset(l.end.Load())
}

// DurableEndOffset is the end of what survives a power cut: Observer.Durable tells when it moves on. It falls only when the log is truncated.
func (l *Log) DurableEndOffset() protocol.Offset {
	_ = l.ensure()
	return protocol.Offset(l.durable.Load())
}

// Size is the bytes of all segments.
func (l *Log) Size() int64 {
	if l.ensure() != nil {
		return 0
	}
	return l.size()
}

// size is Size of a log that is loaded.
func (l *Log) size() (n int64) {
	for _, s := range *l.segments.Load() {
		n += s.Size()
	}
	return n
}

// Config is the configuration in force.
func (l *Log) Config() Config { return *l.config.Load() }

// SetConfig changes the configuration, from the next append on.
func (l *Log) SetConfig(c Config) {
	l.config.Store(&c)
	l.reckonRoll()
}

// reckonRoll follows the configuration in force.
func (l *Log) reckonRoll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rollMs = l.segmentMs(l.config.Load())
}

// Err is why the log is offline, nil if it is not.
func (l *Log) Err() error {
	if p := l.offline.Load(); p != nil {
		return *p
	}
	return l.dir.err()
}

// ensure loads the log on first use. The error is for the caller's client.
func (l *Log) ensure() error {
	if !l.loaded.Load() {
		if err := l.loadOnce(); err != nil {
			return storageError(err)
		}
	}
	if err := l.Err(); err != nil {
		return storageError(err)
	}
	return nil
}

// fail takes the log offline, once.
func (l *Log) fail(err error) {
	if !l.offline.CompareAndSwap(nil, &err) {
		return
	}
	l.loaded.Store(true) // the observer may ask for offsets while the log is being loaded
	if errors.Is(err, ErrClosed) {
		return
	}
	level := slog.LevelError
	if l.dir.err() != nil {
		level = slog.LevelDebug // the directory has said it for all of them
	}
	said := append([]any{slog.String("partition", l.tp.String()), slog.String("directory", l.dir.path), slog.Any("error", err)}, damagePlace(err)...)
	l.dir.logger().Log(context.Background(), level, "log is offline", said...)
	if errors.Is(err, ErrDamaged) {
		l.dir.metrics().damaged()
	}
	l.observer.Offline(l, err)
}

// active is the segment that is written to, nil before the first append.
func (l *Log) active() *segment.Segment {
	segs := *l.segments.Load()
	if len(segs) == 0 {
		return nil
	}
	return segs[len(segs)-1]
}

// segmentAt is the index of the segment that holds offset: the last whose base is not above it, -1 if there is none.
func segmentAt(segs []*segment.Segment, offset protocol.Offset) int {
	// Nearly always it is the last one.
	if n := len(segs); n > 0 && segs[n-1].Base() <= offset {
		return n - 1
	}
	return sort.Search(len(segs), func(i int) bool { return segs[i].Base() > offset }) - 1
}

// LatestEpoch is the newest leader epoch that the log knows, -1 if there is none.
func (l *Log) LatestEpoch() protocol.LeaderEpoch {
	_ = l.ensure()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochs.latest()
}

// EpochEnd is where the records of the leader epoch wanted end, with the largest epoch not above it that the log knows; (-1, -1) if that is not known (KIP-101, KIP-279).
func (l *Log) EpochEnd(wanted protocol.LeaderEpoch) (protocol.LeaderEpoch, protocol.Offset) {
	_ = l.ensure()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochs.endOf(wanted, protocol.Offset(l.end.Load()))
}

// BeginEpoch notes that epoch begins at the log's end, before any record of it, and tells where that is: a new leader does so when it takes over. Appends of older epochs
// are refused from then on. What recovery took for records of a newer epoch than the leader's is cut off before.
func (l *Log) BeginEpoch(epoch protocol.LeaderEpoch) (start protocol.Offset, err error) {
	if err := l.ensure(); err != nil {
		return protocol.NoOffset, err
	}
	if err := l.dropNewer(epoch); err != nil {
		return protocol.NoOffset, err
	}
	l.mu.Lock()
	start = protocol.Offset(l.end.Load())
	l.epochs.assign(epoch, start)
	// A log without a folder keeps the entry in memory until its first append makes one.
	dirty := l.epochs.changed && len(*l.segments.Load()) > 0
	l.mu.Unlock()
	if dirty {
		l.dir.flusher.touch(l, l.dir.flusher.after(flushDelay))
	}
	return start, nil
}

func nowMs() int64 { return time.Now().UnixMilli() }

// segmentMs is segment.ms less a jitter that is a fixed share of segment.jitter.ms for each partition, so that partitions that began together do not roll together.
// Records of a compacted topic are not to wait longer than max.compaction.lag.ms, and what is in the active segment waits.
func (l *Log) segmentMs(c *Config) int64 {
	ms := c.SegmentMs
	if c.Compact && c.MaxCompactionLagMs > 0 {
		ms = min(ms, c.MaxCompactionLagMs)
	}
	if c.SegmentJitterMs <= 0 {
		return ms
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.tp.String()))
	return ms - int64(h.Sum32())%min(c.SegmentJitterMs, ms)
}
