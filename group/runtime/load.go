package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/batch"
	"ottla/log/timeline"
	"ottla/protocol"
)

// load is a leadership of a shard whose log is to be replayed.
type load[M Machine] struct {
	shard      *shard[M]
	leadership *leadership
}

// loads is the loads that wait. At most Options.Loads run, each on a goroutine that ends when nothing waits.
type loads[M Machine] struct {
	running sync.WaitGroup

	mu      sync.Mutex
	waiting []load[M]
	loaders int
	stopped bool
}

func (q *loads[M]) add(l load[M]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.waiting = append(q.waiting, l)
	if q.loaders < l.shard.runtime.Loads {
		q.loaders++
		q.running.Go(q.run)
	}
}

func (q *loads[M]) next() (load[M], bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.loaders--
		return load[M]{}, false
	}
	l := q.waiting[0]
	q.waiting[0] = load[M]{}
	q.waiting = q.waiting[1:]
	return l, true
}

func (q *loads[M]) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting, q.stopped = nil, true
}

func (q *loads[M]) run() {
	var buf []byte
	for l, ok := q.next(); ok; l, ok = q.next() {
		if buf == nil {
			buf = make([]byte, 0, readSize)
		}
		l.run(buf)
	}
}

// readSize is the bytes of one read.
const readSize = 1 << 20

// run replays the log and hands the shard over, or says why not.
func (l load[M]) run(buf []byte) {
	s, r, began := l.shard, l.shard.runtime, time.Now()
	p := replay[M]{load: l, held: make(transactions)}
	v, err := p.run(buf)
	attrs := []any{slog.String("topic", r.Topic), slog.Int("partition", int(s.id)), slog.Int("epoch", int(l.leadership.epoch))}
	switch {
	case !s.leads(l.leadership): // given up meanwhile: nobody waits for it
	case err == nil:
		took := time.Since(began)
		r.Metrics.load(p.records, took)
		level := slog.LevelInfo
		if p.records == 0 {
			level = slog.LevelDebug // a new topic has many such partitions
		}
		r.Logger.Log(context.Background(), level, "coordinator loaded", append(attrs, slog.Int("records", p.records), slog.Duration("took", took))...)
		s.ready(v)
	case lost(err):
		r.Logger.Warn("coordinator gave up a partition", append(attrs, slog.Any("error", err))...)
		s.ended(l.leadership, idle)
	default:
		r.Metrics.loadFailed()
		r.Logger.Error("coordinator not loaded: its groups have no coordinator until the partition gets another leader", append(attrs, slog.Any("error", err))...)
		s.ended(l.leadership, broken)
	}
}

// replay is the loading of one log into a new machine.
type replay[M Machine] struct {
	load[M]
	machine M
	next    protocol.Offset // one past what was replayed
	end     protocol.Offset // log end when the load began
	held    transactions
	reader  batch.Reader
	records int
}

// run replays up to the log end of its beginning: the leadership's own records come later, from the live machine. What lies above the high watermark waits for it as if it had
// been written now.
func (p *replay[M]) run(buf []byte) (*live[M], error) {
	o, err := p.leadership.log.Offsets()
	if err != nil {
		return nil, err
	}
	t := timeline.New()
	p.machine = p.shard.runtime.NewMachine(p.shard.id, t)
	p.next, p.end = o.LogStart, o.LogEnd
	defer p.reader.Close()
	for p.next < p.end && p.shard.leads(p.leadership) {
		if err := p.step(buf); err != nil {
			return nil, err
		}
	}
	end := max(p.next, p.end)
	t.Mark(int64(end))
	v := &live[M]{leadership: p.leadership, machine: p.machine, timeline: t, begins: end, next: end}
	if o.HighWatermark < end {
		v.parked.push(parked{at: end, own: true})
	}
	return v, nil
}

// step replays what one read gives. Retention may take the log's start past where we are.
func (p *replay[M]) step(buf []byte) error {
	before := p.next
	chunk, err := p.leadership.log.Read(p.next, buf)
	if errors.Is(err, kerr.OffsetOutOfRange) {
		var o log.Offsets
		if o, err = p.leadership.log.Offsets(); err == nil {
			p.next = max(p.next, o.LogStart)
		}
	}
	if err == nil {
		err = p.chunk(chunk)
	}
	if err == nil && p.next == before {
		err = protocol.Errorf(kerr.KafkaStorageError, "nothing is to be read at offset %d, before the log's end %d", p.next, p.end)
	}
	return err
}

// chunk applies whole batches.
func (p *replay[M]) chunk(b []byte) error {
	for len(b) > 0 && p.next < p.end {
		if !batch.CheckCRC(b) {
			return protocol.Errorf(kerr.CorruptMessage, "batch after offset %d is damaged", p.next)
		}
		if err := p.reader.Reset(b, maxDecompressed); err != nil {
			return fmt.Errorf("batch after offset %d: %w", p.next, err)
		}
		h := p.reader.Header()
		whole := b[:h.Size()]
		b = b[h.Size():]
		if h.NextOffset() <= p.next {
			continue
		}
		if err := p.batch(h, whole); err != nil {
			return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
		}
		p.next = h.NextOffset()
	}
	return nil
}

// maxDecompressed bounds what one batch may inflate to.
const maxDecompressed = 256 << 20

// batch applies one batch, or remembers it until its transaction is decided.
func (p *replay[M]) batch(h *batch.Header, whole []byte) error {
	switch {
	case h.Attributes.Control():
		return p.marker(h, whole)
	case h.Attributes.Transactional():
		return p.held.hold(h.ProducerID, p.next, &p.reader)
	}
	var r batch.Record
	for {
		ok, err := p.reader.Next(&r)
		if !ok || err != nil {
			return err
		}
		if r.Offset < p.next {
			continue // below the log start, which lies within the batch
		}
		if err := p.apply(r.Offset, Record{r.Key, r.Value}); err != nil {
			return err
		}
	}
}

func (p *replay[M]) apply(at protocol.Offset, r Record) error {
	p.records++
	if err := p.machine.Apply(at, r); err != nil {
		return fmt.Errorf("record at offset %d: %w", at, err)
	}
	return nil
}

// marker ends a transaction. Control batches of other kinds mean nothing here.
func (p *replay[M]) marker(h *batch.Header, whole []byte) error {
	m, ok, err := batch.ParseMarker(whole, maxDecompressed)
	if !ok || err != nil {
		return err
	}
	records := p.held.end(h.ProducerID)
	if m.Type != batch.MarkerCommit {
		return nil
	}
	for _, r := range records {
		if err := p.apply(r.offset, r.record); err != nil {
			return err
		}
	}
	return nil
}
