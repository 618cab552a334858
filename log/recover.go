package log

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/protocol"
)

// demand is what the owner of a log knows about it from elsewhere.
type demand struct {
	floor protocol.Offset // what lies below is decided
	whole bool            // nothing that a killed process cannot have left is cut
}

// Demand loads a log that was not used before under stricter rules: records below floor were durable, whatever the checkpoints say; and if only the process died, so that every
// byte that was written is there, nothing but an end that is cut short is a torn tail. Damage is then an error, and the files stay as they are: the log is offline.
func (l *Log) Demand(floor protocol.Offset) error {
	l.takeTurn()
	if !l.loaded.Load() {
		l.demand = demand{floor: floor, whole: true}
	}
	l.endTurn()
	return l.ensure()
}

// recovery is one log's way from what an unclean stop has left to a good log.
type recovery struct {
	l     *Log
	c     *Config
	point protocol.Offset      // everything below was durable, and the indexes of segments that lie below as a whole
	floor protocol.Offset      // a bad batch below is damage
	whole bool                 // the files are as the process has left them
	epoch protocol.LeaderEpoch // the newest that the checkpoint knows, NoLeaderEpoch if there is none
	rules segment.Rules
	// gapless is where segments begin to meet, whatever compaction has done before: a gap between them is a lost end.
	gapless protocol.Offset
	bytes   int64 // read
	cut     int64 // bytes of files that are no longer part of the log
}

// recover reads what lies past the recovery point, and more where the indexes have to be built anew: see recovery.segment. What lies below was durable: if it is not there, the log
// is damaged and stays as it is. The same holds for a bad batch that the high watermark had passed. Above, the log is cut at the first batch that is torn, damaged or out of place,
// even if valid ones follow: the kernel writes pages back in any order.
func (l *Log) recover(found []*segment.Segment, point protocol.Offset, c *Config) ([]*segment.Segment, protocol.Offset, error) {
	began := time.Now()
	r := recovery{l: l, c: c, point: point, whole: l.dir.wholeCache(l.tp), epoch: l.epochs.latest(), gapless: l.gapless()}
	r.setFloor()
	first := max(0, segmentAt(found, point-1))
	r.rules = segment.Rules{Next: found[first].Base(), Epoch: protocol.NoLeaderEpoch, Contiguous: l.contiguous(c)}
	for i := first; i < len(found); i++ {
		damage, err := r.segment(found[i])
		if err != nil {
			return nil, 0, err
		}
		if damage == nil {
			continue
		}
		if err := r.judge(found[i], damage); err != nil {
			return nil, 0, err
		}
		if found, err = r.cutTail(found, i, damage); err != nil {
			return nil, 0, err
		}
		break
	}
	if bound := max(point, l.demand.floor); r.rules.Next < bound {
		return nil, 0, fmt.Errorf("%w: they go up to offset %d, the log ends at %d", ErrDamaged, bound, r.rules.Next)
	}
	l.pending.names = true
	l.durable.Store(int64(point))
	l.dir.recovered(&r, time.Since(began))
	l.dir.logger().Debug("log recovered", slog.String("partition", l.tp.String()), slog.Int64("end", int64(r.rules.Next)), slog.Int64("bytes_read", r.bytes),
		slog.Int64("bytes_cut", r.cut), slog.Bool("power_cut", !r.whole), slog.Duration("took", time.Since(began)))
	return found, r.rules.Next, nil
}

// setFloor takes the highest bound that is known. A high watermark is one only for records that were durable before it passed them, or that the page cache still has.
func (r *recovery) setFloor() {
	r.floor = max(r.point, r.l.demand.floor)
	if r.c.Durable || r.whole {
		r.floor = max(r.floor, r.l.Committed())
	}
}

// segment recovers the next one. The error is one of the file system's; damage tells where good batches end, if that is not the file's end.
func (r *recovery) segment(s *segment.Segment) (*segment.DamageError, error) {
	if damage := r.misplaced(s); damage != nil {
		return damage, nil
	}
	r.rules.Next = max(r.rules.Next, s.Base()) // with gaps, an empty segment may begin behind the last record, and takes nothing below its base
	rec, err := r.check(s)
	if err != nil {
		return nil, err
	}
	r.rules.Next, r.rules.Epoch = rec.Next, rec.Epoch
	r.l.pending.sealed = append(r.l.pending.sealed, s)
	return rec.Damage, nil
}

// check reads the segment from the recovery point on if the indexes lead there and can be relied on, else as a whole. After a power cut they cannot: they were not synced.
func (r *recovery) check(s *segment.Segment) (segment.Recovery, error) {
	l := r.l
	learn := func(h *batch.Header, _ []byte) { l.epochs.assign(h.LeaderEpoch, h.BaseOffset) }
	if r.whole {
		a, ok, err := s.Anchor(max(s.Base(), r.point-1))
		if err != nil {
			return segment.Recovery{}, err
		}
		if ok {
			l.epochs.cutEnd(max(a.Offset, s.Base()))
			rec, ok, err := s.Resume(a, segment.Rules{Next: a.Offset, Epoch: max(r.rules.Epoch, l.epochs.latest()), Contiguous: r.rules.Contiguous}, r.c.IndexIntervalBytes, learn)
			r.bytes += rec.Bytes
			if err != nil || ok {
				return rec, err
			}
		}
	}
	l.epochs.cutEnd(r.rules.Next)
	rec, err := s.Recover(r.rules, r.c.IndexIntervalBytes, learn)
	r.bytes += rec.Bytes
	return rec, err
}

// misplaced tells why s cannot follow what was recovered so far.
func (r *recovery) misplaced(s *segment.Segment) *segment.DamageError {
	if s.Base() < r.rules.Next || s.Base() > r.rules.Next && (r.rules.Contiguous || r.rules.Next >= r.gapless) {
		return &segment.DamageError{Name: s.Name(), Offset: r.rules.Next, Err: fmt.Errorf("segment begins at offset %d, expected %d", s.Base(), r.rules.Next)}
	}
	return nil
}

// judge tells whether a bad batch is more than a torn tail: then it is an error, and nothing is cut.
func (r *recovery) judge(s *segment.Segment, damage *segment.DamageError) error {
	// Where leader epochs fall the batch before may be the bad one: it is, if the checkpoint of epochs has not come to its epoch.
	before := r.rules.Next == r.floor && damage.MaybeBefore() && r.epoch >= 0 && r.rules.Epoch > r.epoch
	if r.rules.Next < r.floor || before {
		return fmt.Errorf("%w, which go up to offset %d: %w", ErrDamaged, r.floor, damage)
	}
	if !r.l.demand.whole || !r.whole {
		return nil
	}
	torn := damage.Short()
	if torn {
		behind, err := s.SoundBehind(damage.Position)
		if err != nil {
			return err
		}
		torn = !behind
	}
	if !torn {
		return fmt.Errorf("%w: only the process died, which leaves no such batch: %w", ErrDamaged, damage)
	}
	return nil
}

// cutTail ends the log in the segment at i, where the damage is, and deletes those behind; it returns what is left.
func (r *recovery) cutTail(found []*segment.Segment, i int, damage *segment.DamageError) ([]*segment.Segment, error) {
	l := r.l
	partly := slices.Contains(l.pending.sealed, found[i]) // else not even its beginning fits
	drop := i
	if partly {
		drop = i + 1
		size, err := found[i].FileSize()
		if err != nil {
			return nil, err
		}
		r.cut += size - found[i].Size()
	}
	for _, s := range found[drop:] {
		r.cut += s.Size()
	}
	l.dir.logger().Warn("log is cut at the first bad batch past its recovery point", append([]any{slog.String("partition", l.tp.String()), slog.Int64("bytes_cut", r.cut),
		slog.Int("segments_dropped", len(found)-drop)}, damagePlace(damage)...)...)
	l.dir.metrics().cutTail(r.cut)
	// Durable, all of it, before the log goes on: a second crash could bring back what follows, and it would fit.
	if err := l.discard(found[drop:]); err != nil {
		return nil, err
	}
	if err := l.dir.fs.SyncDir(l.path); err != nil {
		return nil, err
	}
	if partly {
		if err := found[i].Cut(); err != nil {
			return nil, err
		}
	}
	return found[:drop], nil
}

// damagePlace is the attributes of a log line that name the place of a damage.
func damagePlace(err error) []any {
	var d *segment.DamageError
	if !errors.As(err, &d) {
		return nil
	}
	return []any{slog.String("file", d.Name), slog.Int64("position", d.Position), slog.Int64("offset", int64(d.Offset)), slog.String("reason", d.Err.Error())}
}

// recoveries sums up what a directory's logs have read since the last line about it. The directory's mutex guards it.
type recoveries struct {
	logs       int
	bytes, cut int64
	took       time.Duration
}

// recovered counts a recovery that has come to its end.
func (d *directory) recovered(r *recovery, took time.Duration) {
	d.metrics().recovered(r.bytes, took)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recoveries.logs++
	d.recoveries.bytes += r.bytes
	d.recoveries.cut += r.cut
	d.recoveries.took += took
	d.dirty.Store(true)
}

// tellRecovered logs one line about all recoveries since the last one.
func (d *directory) tellRecovered() {
	d.mu.Lock()
	n, suspects := d.recoveries, len(d.boot.suspects)
	d.recoveries = recoveries{}
	d.mu.Unlock()
	if n.logs > 0 {
		d.logger().Info("logs recovered", slog.String("directory", d.path), slog.Int("logs", n.logs), slog.Int64("bytes_read", n.bytes), slog.Int64("bytes_cut", n.cut),
			slog.Duration("took", n.took), slog.Bool("power_cut", !d.boot.same), slog.Int("left", suspects))
	}
}
