package runtime

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/batch"
	"ottla/protocol"
)

// pending is the batch that a turn gathers: what was decided and applied, and is not in the log yet. Later decisions see it, so they share its fate.
type pending struct {
	builder *batch.Builder
	out     []byte
	records []Record
	decided []decided
}

// decided is one operation's part of a pending batch.
type decided struct {
	effects Effects
	own     bool
}

// keptBatch bounds the memory, in bytes of a batch, that a worker keeps between turns.
const keptBatch = 1 << 20

func newPending() pending { return pending{builder: batch.NewBuilder()} }

// reset forgets what was gathered.
func (p *pending) reset() {
	if cap(p.out) > keptBatch || p.builder.Size() > keptBatch {
		p.out, p.builder = nil, batch.NewBuilder()
	}
	p.builder.Reset()
	clear(p.records)
	clear(p.decided)
	p.records, p.decided = p.records[:0], p.decided[:0]
}

func (p *pending) add(e Effects, own bool, now time.Time) {
	for _, r := range e.Records {
		p.builder.Add(now.UnixMilli(), r.Key, r.Value)
	}
	p.records = append(p.records, e.Records...)
	p.decided = append(p.decided, decided{e, own})
}

// recordOverhead is the most that a record takes besides key and value: length, attributes, two deltas, two lengths, number of headers.
const recordOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 1

// sizeOf is the most that the records take in a batch.
func sizeOf(records []Record) int {
	n := 0
	for _, r := range records {
		n += len(r.Key) + len(r.Value) + recordOverhead
	}
	return n
}

// do does what a decision wants: its records are applied, at the offsets that they will have, and gathered.
func (w *worker[M]) do(s *shard[M], e Effects, own bool) {
	if len(e.Records) == 0 {
		if e.Committed != nil {
			e.Committed()
		}
		if !own {
			s.answered()
			w.runtime.Metrics.unwritten()
		}
		return
	}
	size, most := sizeOf(e.Records), w.runtime.MaxBatch
	if size > most-batch.HeaderSize {
		w.fail(s, &e, own, protocol.Errorf(kerr.MessageTooLarge, "an operation on %s-%d writes %d bytes, at most %d are allowed", w.runtime.Topic, s.id, size, most-batch.HeaderSize))
		return
	}
	if len(w.batch.decided) > 0 && size > most-w.batch.builder.Size() {
		if err := w.append(s); err != nil {
			w.fail(s, &e, own, err) // it was decided on what is gone now
			return
		}
	}
	if err := w.apply(s, e.Records); err != nil {
		w.fail(s, &e, own, err)
		return
	}
	w.batch.add(e, own, w.now)
}

// apply changes the machine's replayed state as it will be when the pending batch and then records are in the log. An error is a bug of the machine: it wrote what it cannot
// read. Nothing of records is applied then, so it hurts only who asked for it, and never reaches the log.
func (w *worker[M]) apply(s *shard[M], records []Record) error {
	v := s.live
	at := v.next + protocol.Offset(len(w.batch.records))
	for i, r := range records {
		err := v.machine.Apply(at+protocol.Offset(i), r)
		if err == nil {
			continue
		}
		w.runtime.Logger.Error("coordinator cannot apply its own record", slog.String("topic", w.runtime.Topic), slog.Int("partition", int(s.id)), slog.Any("error", err))
		v.timeline.Revert(int64(v.next))
		for i, r := range w.batch.records {
			if err := v.machine.Apply(v.next+protocol.Offset(i), r); err != nil {
				panic(err) // it was applied before
			}
		}
		return protocol.Errorf(kerr.UnknownServerError, "an operation on %s-%d could not be applied", w.runtime.Topic, s.id)
	}
	return nil
}

// append writes the pending batch, and parks its operations. If that fails the state is what it was before the first of them; they are told, and the error is returned.
func (w *worker[M]) append(s *shard[M]) error {
	if len(w.batch.decided) == 0 {
		return nil
	}
	defer w.batch.reset()
	v, b := s.live, &w.batch
	b.out = b.builder.Build(b.out[:0])
	base, err := v.leadership.log.Append(b.out)
	if err != nil {
		w.runtime.Metrics.appendFailed()
		return w.undo(s, appendError(err))
	}
	w.runtime.Metrics.appended(len(b.records), len(b.out))
	if base != v.next {
		return w.outOfStep(s, base)
	}
	v.next += protocol.Offset(len(b.records))
	v.timeline.Mark(int64(v.next))
	for _, d := range b.decided {
		d.effects.Records = nil // in the log
		v.parked.push(parked{at: v.next, effects: d.effects, since: w.now, own: d.own})
	}
	return nil
}

// undo takes the state back to where the pending batch began.
func (w *worker[M]) undo(s *shard[M], err error) error {
	s.live.timeline.Revert(int64(s.live.next))
	s.live.pause = w.now.Add(failedPause)
	for i := range w.batch.decided {
		d := &w.batch.decided[i]
		w.fail(s, &d.effects, d.own, err)
	}
	return err
}

// outOfStep begins again from the log: somebody else has written to the partition, and the machine has not seen it. The pending batch is in the log, but at other offsets
// than those it was applied at.
func (w *worker[M]) outOfStep(s *shard[M], base protocol.Offset) error {
	w.runtime.Logger.Error("coordinator reloads: somebody else wrote to its partition", slog.String("topic", w.runtime.Topic), slog.Int("partition", int(s.id)),
		slog.Int64("offset", int64(base)), slog.Int64("expected", int64(s.live.next)))
	v, err := s.live, notCoordinator(w.runtime.Topic, s.id)
	w.unload(s)
	for i := range w.batch.decided {
		d := &w.batch.decided[i]
		w.fail(s, &d.effects, d.own, err)
	}
	s.reload(v.leadership)
	return err
}
