package log_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log"
	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// restarted is a node that was started on what a cut left.
type restarted struct {
	h     *history
	disk  *vfs.Mem
	store *log.Store
	logs  map[protocol.TopicPartition]*log.Log
}

func (h *history) restart(disk *vfs.Mem) (*restarted, error) {
	h.reopens++
	s, err := log.OpenStore(log.StoreOptions{FS: disk, Dirs: []string{"d"}, Logger: quiet, OpenFiles: 64})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.Serial()
	s.Begin()
	return &restarted{h, disk, s, map[protocol.TopicPartition]*log.Log{}}, nil
}

func (r *restarted) open(p *part) (*log.Log, error) {
	l, err := r.store.Open(p.tp, p.id, p.config, log.NopObserver{})
	if err != nil {
		return nil, err
	}
	r.logs[p.tp] = l
	_ = l.LogEndOffset() // loads it
	return l, l.Err()
}

// checkCut looks at a disk after a cut: at what was touched lately, and at one partition more.
func (h *history) checkCut(disk *vfs.Mem) {
	names := slices.Clone(h.busy)
	if all := h.names(); h.dice.IntN(4) == 0 {
		if tp := all[h.dice.IntN(len(all))]; !slices.Contains(names, tp) {
			names = append(names, tp)
		}
	}
	if err := h.check(disk, names, h.metadataBusy() || h.dice.IntN(4) == 0); err != nil {
		h.failf("after a cut: %w", err)
	}
}

func (h *history) checkAll(disk *vfs.Mem) {
	if err := h.check(disk, h.names(), true); err != nil {
		h.failf("in the end: %w", err)
	}
}

// check starts a node on disk and looks at the partitions that are named, and at the metadata log if so wished.
func (h *history) check(disk *vfs.Mem, names []protocol.TopicPartition, quorum bool) error {
	r, err := h.restart(disk)
	if err != nil {
		return err
	}
	if err := r.folders(); err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(tp protocol.TopicPartition) bool { return h.parts[tp] == nil || h.parts[tp].deleting && !r.has(tp) })
	for _, tp := range names {
		l, err := r.open(h.parts[tp])
		if err == nil {
			err = h.compare(h.parts[tp], l)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
	}
	if h.dice.IntN(3) == 0 {
		if err := r.again(names); err != nil {
			return fmt.Errorf("second recovery: %w", err)
		}
	}
	if quorum {
		if err := r.metadata(); err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
	}
	for _, tp := range names {
		if err := h.resend(h.parts[tp], r.logs[tp]); err != nil {
			return fmt.Errorf("%s: resend: %w", tp, err)
		}
	}
	return nil
}

func (r *restarted) has(tp protocol.TopicPartition) bool {
	_, err := r.disk.Stat("d/" + tp.String())
	return err == nil
}

// folders checks that what was vouched for is there, and that what was deleted is not.
func (r *restarted) folders() error {
	found := map[protocol.TopicPartition]log.Folder{}
	for _, f := range r.store.Folders() {
		tp := protocol.TopicPartition{Topic: f.Topic, Partition: f.Partition}
		found[tp] = f
		p := r.h.parts[tp]
		switch {
		case slices.Contains(r.h.gone[tp], f.ID):
			return fmt.Errorf("%s of topic id %s has come back from its deletion", tp, f.ID)
		case f.Missing && (p == nil || !p.deleting):
			return fmt.Errorf("folder of %s is missing", tp)
		}
	}
	for tp, p := range r.h.parts {
		if _, ok := found[tp]; p.vouched && !p.deleting && !ok {
			return fmt.Errorf("folder of %s is gone, and nobody knows", tp)
		}
	}
	return nil
}

// state is what a second recovery may not change.
type state struct{ start, end protocol.Offset }

// again crashes the restarted node at once, as a killed process or by a power cut, and starts it once more; now and then it is stopped cleanly instead.
func (r *restarted) again(names []protocol.TopicPartition) error {
	before, states, err := r.picture(names)
	if err != nil {
		return err
	}
	survive, same := 1.0, true
	switch r.h.dice.IntN(8) {
	case 0, 1:
		survive, same = 0, false
	case 2:
		if err := r.store.Close(); err != nil {
			return fmt.Errorf("clean stop: %w", err)
		}
		same = false
	}
	next, err := r.h.restart(r.h.after(r.disk, survive))
	if err != nil {
		return err
	}
	for _, tp := range names {
		l, err := next.open(r.h.parts[tp])
		if err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
		if err := r.h.compare(r.h.parts[tp], l); err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
	}
	after, again, err := next.picture(names)
	if err != nil {
		return err
	}
	if !maps.Equal(states, again) {
		return fmt.Errorf("logs are %v, were %v", again, states)
	}
	if same && !maps.Equal(before, after) {
		return fmt.Errorf("other files: %v", differences(before, after))
	}
	*r = *next
	return nil
}

// differences are the names that are in one of the two alone, or differ.
func differences(before, after map[string]uint64) (out []string) {
	for name, sum := range before {
		if got, ok := after[name]; !ok {
			out = append(out, "-"+name)
		} else if got != sum {
			out = append(out, "!"+name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			out = append(out, "+"+name)
		}
	}
	slices.Sort(out)
	return out
}

func (r *restarted) picture(names []protocol.TopicPartition) (map[string]uint64, map[protocol.TopicPartition]state, error) {
	files, states := map[string]uint64{}, map[protocol.TopicPartition]state{}
	for _, tp := range names {
		if r.has(tp) {
			if err := digests(r.disk, "d/"+tp.String(), files); err != nil {
				return nil, nil, err
			}
		}
		states[tp] = state{r.logs[tp].LogStartOffset(), r.logs[tp].LogEndOffset()}
	}
	return files, states, nil
}

// compare checks a loaded log against what was promised and what is possible.
func (h *history) compare(p *part, l *log.Log) error {
	h.checks++
	start, end := l.LogStartOffset(), l.LogEndOffset()
	if err := l.Err(); err != nil {
		return fmt.Errorf("it is offline: %w", err)
	}
	all := upTo(p.possible(), end)
	ends := end == p.first && len(all) == 0 || len(all) > 0 && all[len(all)-1].next == end
	highest := max(p.start, p.starting)
	if p.resetting {
		highest = max(highest, p.reset, end) // the segments go in any order
	}
	switch {
	case end < p.promised():
		return fmt.Errorf("it ends at %d: up to %d was durable", end, p.promised())
	case p.resetting && start == p.reset && end == p.reset:
		return nil
	case start < p.kept && !p.cutting && !p.resetting && !p.deleting:
		return fmt.Errorf("it starts at %d: %d had been written down", start, p.kept)
	case start > highest:
		return fmt.Errorf("it starts at %d: no more than %d was asked for", start, highest)
	case start == end:
		// Nothing is left, perhaps because the log start has survived what lay there.
		return nil
	case !ends && !p.config.Compact:
		return fmt.Errorf("it ends at %d, where no batch does: [%d, %d) was there", end, p.first, p.end())
	}
	all, _, err := h.present(p, l, all, start, end)
	if err != nil {
		return err
	}
	return h.compareRecords(l, all, start, end, p.cleaned > 0)
}

func (h *history) compareRecords(l *log.Log, all []written, start, end protocol.Offset, gaps bool) error {
	want := from(all, start)
	got, err := readBytes(l, start, end, 1<<20)
	if err != nil {
		return err
	}
	var whole []byte
	for _, w := range want {
		whole = append(whole, w.bytes...)
	}
	if !bytes.Equal(got, whole) {
		return fmt.Errorf("records of [%d, %d) are not those that were appended: %d bytes, want %d", start, end, len(got), len(whole))
	}
	if len(want) == 0 {
		return nil
	}
	for range 2 {
		w := want[h.dice.IntN(len(want))]
		at := max(start, w.base) + protocol.Offset(h.dice.Int64N(int64(w.next-max(start, w.base))))
		got, err := readBytes(l, at, w.next, 1+h.dice.IntN(600))
		if err != nil || !bytes.Equal(got, w.bytes) {
			return fmt.Errorf("a read at offset %d finds %d bytes (%v), not the batch at %d", at, len(got), err, w.base)
		}
	}
	if err := h.compareTimes(l, all, start, end, gaps); err != nil {
		return err
	}
	if gaps {
		return nil // an epoch may begin with a record that is gone
	}
	return compareEpochs(l, want, start, end)
}

// readBytes reads whole batches from the one that holds from up to limit.
func readBytes(l *log.Log, from, limit protocol.Offset, maxBytes int) (out []byte, err error) {
	for from < limit {
		var r log.Range
		if err := l.Read(from, limit, maxBytes, true, &r); err != nil {
			return nil, fmt.Errorf("read at %d: %w", from, err)
		}
		if r.Source == nil {
			return out, nil // a gap up to limit
		}
		b := make([]byte, r.Size)
		_, err := r.Source.ReadAt(b, r.Position)
		r.Source.Release()
		if err != nil {
			return nil, fmt.Errorf("read at %d: %w", from, err)
		}
		out = append(out, b...)
		for len(b) > 0 {
			var head batch.Header
			if err := batch.ParseHeader(b, &head); err != nil {
				return nil, fmt.Errorf("read at %d: %w", from, err)
			}
			from, b = head.NextOffset(), b[head.Size():]
		}
	}
	return out, nil
}

func (h *history) compareTimes(l *log.Log, all []written, start, end protocol.Offset, gaps bool) error {
	for range 2 {
		ts := time.Now().UnixMilli() - h.dice.Int64N(12_000)
		want := protocol.NoOffset
		for _, w := range from(all, start) {
			for i, at := range w.times {
				if o := w.base + protocol.Offset(i); want < 0 && at >= ts && o >= start {
					want = o
				}
			}
		}
		found, ok, err := l.OffsetForTimestamp(ts, end)
		if err != nil || ok != (want >= 0) || ok && found.Offset != want {
			return fmt.Errorf("the first record at %d is %+v (%v, %v), want offset %d", ts, found, ok, err, want)
		}
	}
	if gaps && l.Bases()[0] < start {
		return nil // whole segments count, and what is left below the log's start nobody can read
	}
	newest, want := int64(-1), protocol.NoOffset
	for _, w := range from(all, l.Bases()[0]) {
		for i, at := range w.times {
			if at > newest {
				newest, want = at, w.base+protocol.Offset(i)
			}
		}
	}
	if found, ok, err := l.MaxTimestamp(end); err != nil || !ok || found.Offset != want {
		return fmt.Errorf("the newest record is %+v (%v, %v), want offset %d", found, ok, err, want)
	}
	return nil
}

// compareEpochs asks for the ends of the newest epochs.
func compareEpochs(l *log.Log, all []written, start, end protocol.Offset) error {
	latest := all[len(all)-1].epoch
	for wanted := latest; wanted >= max(0, latest-4); wanted-- {
		want := end
		for _, w := range slices.Backward(all) {
			if w.epoch > wanted {
				want = max(w.base, start)
			}
		}
		if _, got := l.EpochEnd(wanted); got != want {
			return fmt.Errorf("epoch %d ends at %d, want %d", wanted, got, want)
		}
	}
	return nil
}

// resend is what clients do after a restart: they repeat the batches that they had in flight, and go on. The log is written to.
func (h *history) resend(p *part, l *log.Log) error {
	start, end := l.LogStartOffset(), l.LogEndOffset()
	all, removed, err := h.present(p, l, upTo(p.possible(), end), start, end)
	if start == end || len(all) == 0 || err != nil {
		return err
	}
	epoch := max(p.epoch, l.LatestEpoch())
	snapshot := protocol.NoOffset // the newest
	stored, err := l.SnapshotOffsets()
	if err != nil {
		return err
	}
	if len(stored) > 0 {
		snapshot = stored[len(stored)-1]
	}
	for _, id := range producersOf(all) {
		if err := h.resendOf(l, lastOf(all, id), start, snapshot, epoch); err != nil {
			return fmt.Errorf("producer %d: %w", id, err)
		}
	}
	if l.LogEndOffset() != end {
		return fmt.Errorf("a batch that was there was appended again: the log ends at %d, not %d", l.LogEndOffset(), end)
	}
	more, err := h.goOn(p, l, all, removed, epoch)
	if err != nil {
		return err
	}
	return h.compareRecords(l, more, start, l.LogEndOffset(), p.cleaned > 0)
}

// resendOf repeats the newest batches of a producer. Those that recovery has read, and the last one before, are duplicates; of older ones a snapshot keeps nothing, so that they are
// out of order, as in Kafka.
func (h *history) resendOf(l *log.Log, newest []written, start, snapshot protocol.Offset, epoch protocol.LeaderEpoch) error {
	known := true
	for i, w := range newest {
		known = known && (i == 0 || w.pepoch == newest[i-1].pepoch && w.last()+1 == newest[i-1].sequence) // compaction has removed one, and nobody remembers more than the log and the snapshot
		if w.next <= start {
			return nil
		}
		h.resends++
		var info log.AppendInfo
		raw := slices.Clone(w.original())
		batch.Place(raw, 0, protocol.NoLeaderEpoch) // as a client sends it
		err := l.Append(raw, log.AppendOptions{Epoch: epoch}, &info)
		switch {
		case err == nil && (!info.Duplicate || info.BaseOffset != w.base):
			return fmt.Errorf("batch of sequence %d at %d: %+v", w.sequence, w.base, info)
		case err != nil && (known || !errors.Is(err, kerr.OutOfOrderSequenceNumber)):
			return fmt.Errorf("batch of sequence %d at %d (snapshot %d): %w", w.sequence, w.base, snapshot, err)
		}
		known = known && w.base >= snapshot
	}
	return nil
}

// forgettable tells whether the newest batch of a producer was deleted before it was ever durable: its client has had no answer, and repeats it.
func forgettable(p *part, sent []written, id protocol.ProducerID, start protocol.Offset) bool {
	newest := lastOf(sent, id)
	return len(newest) > 0 && newest[0].next <= start && newest[0].next > p.promised()
}

// goOn appends what the producers send next, and returns all that the log has then.
func (h *history) goOn(p *part, l *log.Log, all, removed []written, epoch protocol.LeaderEpoch) ([]written, error) {
	q := *p
	q.removed = slices.Concat(p.removed, removed)
	q.batches, q.first, q.epoch = all, l.LogEndOffset(), epoch
	rng := h.rng
	h.rng = h.dice
	defer func() { h.rng = rng }()
	for range 1 + h.dice.IntN(4) {
		w, raw := h.batch(&q)
		var info log.AppendInfo
		err := l.Append(raw, log.AppendOptions{Epoch: epoch}, &info)
		if errors.Is(err, kerr.OutOfOrderSequenceNumber) && forgettable(p, q.sent(), w.producer, l.LogStartOffset()) {
			continue
		}
		if err != nil || info.Duplicate || info.BaseOffset != w.base {
			return nil, fmt.Errorf("the next batch, sequence %d of producer %d: %+v: %w", w.sequence, w.producer, info, err)
		}
		w.bytes = raw
		q.add(w)
	}
	if h.dice.IntN(4) == 0 {
		if err := l.Flush(); err != nil {
			return nil, err
		}
	}
	return q.batches, nil
}
