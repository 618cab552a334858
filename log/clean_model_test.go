package log

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// keyedRecord is a record that was appended.
type keyedRecord struct {
	key, value string
	tombstone  bool
	ts         int64
	producer   protocol.ProducerID // of a transaction; NoProducerID otherwise
	committed  bool
	seen       int64 // when a cleaning that covers it has begun first; 0: none has
}

// tapped calls before ahead of every change of names.
type tapped struct {
	*vfs.Mem
	before func()
}

func (f *tapped) tap() {
	if f.before != nil {
		f.before()
	}
}
func (f *tapped) Create(name string) (vfs.File, error) { f.tap(); return f.Mem.Create(name) }
func (f *tapped) Rename(from, to string) error         { f.tap(); return f.Mem.Rename(from, to) }
func (f *tapped) Remove(name string) error             { f.tap(); return f.Mem.Remove(name) }
func (f *tapped) SyncDir(dir string) error             { f.tap(); return f.Mem.SyncDir(dir) }

// keeper drives a compacted log and remembers everything that was appended to it.
type keeper struct {
	t          *testing.T
	rng        *rand.Rand
	fs         *tapped
	s          *Store
	l          *Log
	c          Config
	budget     int64
	records    map[protocol.Offset]*keyedRecord
	end        protocol.Offset
	open       protocol.ProducerID // of the open transaction, -1
	seq        map[protocol.ProducerID]protocol.Sequence
	n          int
	generation protocol.ProducerID
	clones     int
	steps      []string
}

func (k *keeper) fatalf(format string, args ...any) {
	k.t.Helper()
	k.t.Fatalf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(k.steps, ", "))
}

func (k *keeper) step(format string, args ...any) {
	k.steps = append(k.steps, fmt.Sprintf(format, args...))
}

func (k *keeper) start() {
	s, err := OpenStore(StoreOptions{FS: k.fs, Dirs: []string{"d"}, Logger: quiet, CleanerBuffer: k.budget})
	if err != nil {
		k.fatalf("open: %v", err)
	}
	k.s = s
	k.l = openLog(k.t, s, k.c, NopObserver{})
	if _ = k.l.LogEndOffset(); k.l.Err() != nil {
		k.fatalf("load: %v", k.l.Err())
	}
}

// append adds a batch of an ordinary producer, of an idempotent one, or of a transaction.
func (k *keeper) append(producer protocol.ProducerID, transactional bool) {
	b := batch.NewBuilder()
	b.Codec = batch.Codec(k.rng.IntN(4)) // zstd is not for bubbles
	b.ProducerID, b.Transactional = producer, transactional
	count := 1 + k.rng.IntN(4)
	if producer >= 0 {
		b.ProducerEpoch, b.BaseSequence = 0, k.seq[producer]
		k.seq[producer] += protocol.Sequence(count)
	}
	at := k.end
	for i := range count {
		k.n++
		r := &keyedRecord{key: fmt.Sprint("k", k.rng.IntN(12)), ts: nowMs() - k.rng.Int64N(3000), producer: protocol.NoProducerID, tombstone: k.rng.IntN(4) == 0}
		var value []byte
		if !r.tombstone {
			r.value = fmt.Sprint(k.n, strings.Repeat("v", k.rng.IntN(90)))
			value = []byte(r.value)
		}
		if transactional {
			r.producer = producer
		}
		b.Add(r.ts, []byte(r.key), value, batch.RecordHeader{Key: "n", Value: fmt.Append(nil, k.n)})
		k.records[at+protocol.Offset(i)] = r
	}
	info := mustAppend(k.t, k.l, b.Build(nil), 0)
	k.step("append %d..%d of %d", info.BaseOffset, info.NextOffset, producer)
	k.end = info.NextOffset
}

const txnProducer = 1 << 20

func (k *keeper) endTransaction() {
	b := batch.NewBuilder()
	b.Control, b.Transactional, b.ProducerID, b.ProducerEpoch = true, true, k.open, 0
	m := batch.Marker{Type: batch.MarkerType(k.rng.IntN(2))}
	b.AddMarker(nowMs(), m)
	var info AppendInfo
	if err := k.l.Append(b.Build(nil), AppendOptions{Origin: Internal}, &info); err != nil {
		k.fatalf("marker: %v", err)
	}
	k.step("marker %d at %d", m.Type, info.BaseOffset)
	for _, r := range k.records {
		r.committed = r.committed || r.producer == k.open && m.Type == batch.MarkerCommit
	}
	for _, r := range k.records {
		if r.producer == k.open {
			r.producer = -2 // decided
		}
	}
	k.end, k.open = info.NextOffset, -1
}

// clean runs the cleaner until it finds nothing more, and looks at what a crash would leave on the way.
func (k *keeper) clean() {
	k.step("clean")
	began := nowMs()
	k.fs.before = func() { k.crashedHere(began) }
	c := newCleaner(k.s)
	c.cleanAll(context.Background())
	k.fs.before = nil
	if len(c.aside) > 0 {
		k.fatalf("cleaning failed")
	}
	k.covered(k.l, began)
	k.s.checkpoint()
	before := k.files()
	c.cleanAll(context.Background())
	if !maps.EqualFunc(before, k.files(), bytes.Equal) {
		k.fatalf("a cleaning with nothing dirty changed something")
	}
}

func (k *keeper) covered(l *Log, began int64) {
	for o, r := range k.records {
		if int64(o) < l.cleaned.Load() && r.seen == 0 {
			r.seen = began
		}
	}
}

// files is the content of the partition's folder.
func (k *keeper) files() map[string][]byte {
	out := map[string][]byte{}
	entries, err := k.fs.ReadDir(k.l.path)
	if err != nil && !gone(err) {
		k.fatalf("%v", err)
	}
	for _, e := range entries {
		b, err := readFile(k.fs, path.Join(k.l.path, e.Name()), 1<<20)
		if err != nil {
			k.fatalf("%v", err)
		}
		out[e.Name()] = b
	}
	return out
}

// crashedHere opens what a power cut at this moment would leave, and checks it as it is and after another cleaning.
func (k *keeper) crashedHere(began int64) {
	if k.rng.IntN(30) > 0 {
		return
	}
	k.clones++
	survive := []float64{0, 1, k.rng.Float64()}[k.rng.IntN(3)]
	fork := *k
	fork.step("crash in the cleaning with %.2f surviving", survive)
	fork.records = map[protocol.Offset]*keyedRecord{}
	for o, r := range k.records {
		r := *r
		if r.seen == 0 {
			r.seen = began // the cleaning that was cut off may have seen it
		}
		fork.records[o] = &r
	}
	fork.fs = &tapped{Mem: k.fs.CrashClone(k.rng, survive)}
	fork.start()
	if end := fork.l.LogEndOffset(); end < k.l.DurableEndOffset() {
		fork.fatalf("log ends at %d, %d was durable", end, k.l.DurableEndOffset())
	}
	fork.forget()
	for _, entry := range []string{".swap", ".cleaned"} {
		for name := range fork.files() {
			if strings.HasSuffix(name, entry) {
				fork.fatalf("%s is left", name)
			}
		}
	}
	fork.check()
	if err := fork.l.Flush(); err != nil {
		fork.fatalf("flush: %v", err)
	}
	newCleaner(fork.s).cleanAll(context.Background())
	fork.check()
}

// forget drops the records that are past the log's end.
func (k *keeper) forget() {
	k.end = k.l.LogEndOffset()
	for o := range k.records {
		if o >= k.end {
			delete(k.records, o)
		}
	}
}

// found is the records in the log from offset from on, in order.
func (k *keeper) found(from protocol.Offset) (offsets []protocol.Offset) {
	l, rec := k.l, batch.Record{}
	for at := from; at < k.end; {
		var r Range
		if err := l.Read(at, k.end, 1+k.rng.IntN(2000), true, &r); err != nil {
			k.fatalf("read %d: %v", at, err)
		}
		if r.Source == nil {
			break
		}
		b := make([]byte, r.Size)
		if _, err := r.Source.ReadAt(b, r.Position); err != nil {
			k.fatalf("read %d: %v", at, err)
		}
		r.Source.Release()
		for len(b) > 0 {
			reader, err := batch.NewReader(b, 1<<20)
			if err != nil || !batch.CheckCRC(b) {
				k.fatalf("read %d: %v", at, err)
			}
			h := reader.Header()
			if h.NextOffset() <= at {
				k.fatalf("read %d: batch [%d, %d]", at, h.BaseOffset, h.LastOffset())
			}
			for {
				ok, err := reader.Next(&rec)
				if err != nil {
					k.fatalf("read %d: %v", at, err)
				}
				if !ok {
					break
				}
				if !h.Attributes.Control() && rec.Offset >= from {
					k.same(&rec)
					offsets = append(offsets, rec.Offset)
				}
			}
			at, b = h.NextOffset(), b[h.Size():]
			reader.Close()
		}
	}
	return offsets
}

// same compares a record with what was appended at its offset.
func (k *keeper) same(rec *batch.Record) {
	r := k.records[rec.Offset]
	if r == nil || r.key != string(rec.Key) || r.value != string(rec.Value) || r.tombstone != (rec.Value == nil) || r.ts != rec.Timestamp || rec.Headers.Len() != 1 {
		k.fatalf("record %d is %s=%s@%d, appended was %+v", rec.Offset, rec.Key, rec.Value, rec.Timestamp, r)
	}
}

// fold is what a reader of committed records ends with.
func (k *keeper) fold(offsets []protocol.Offset) map[string]string {
	out := map[string]string{}
	for _, o := range offsets {
		switch r := k.records[o]; {
		case r.producer != protocol.NoProducerID && !r.committed:
		case r.tombstone:
			delete(out, r.key)
		default:
			out[r.key] = r.value
		}
	}
	return out
}

func (k *keeper) check() {
	k.t.Helper()
	if err := k.l.Err(); err != nil {
		k.fatalf("offline: %v", err)
	}
	if k.l.LogEndOffset() != k.end {
		k.fatalf("log ends at %d, want %d", k.l.LogEndOffset(), k.end)
	}
	start := k.l.LogStartOffset()
	var appended []protocol.Offset
	last := map[string]protocol.Offset{}
	for o := start; o < k.end; o++ {
		if r := k.records[o]; r != nil {
			appended = append(appended, o)
			last[r.key] = o
		}
	}
	found := k.found(start)
	if got, want := k.fold(found), k.fold(appended); !maps.Equal(got, want) {
		k.fatalf("a reader ends with %v, want %v", got, want)
	}
	there := map[protocol.Offset]bool{}
	for _, o := range found {
		there[o] = true
	}
	for key, o := range last {
		r := k.records[o]
		gone := r.tombstone && r.seen > 0 && nowMs()-r.seen >= k.c.DeleteRetentionMs
		if !there[o] && !gone {
			k.fatalf("the last record of %s, at %d, is missing", key, o)
		}
	}
	for _, o := range appended {
		if r := k.records[o]; r.producer != protocol.NoProducerID && !there[o] {
			k.fatalf("record %d of a transaction is missing", o)
		}
	}
	k.checkTime(found)
	if from := start + protocol.Offset(k.rng.Int64N(int64(k.end-start)+1)); from < k.end {
		n := 0
		for n < len(found) && found[n] < from {
			n++
		}
		if got := k.found(from); fmt.Sprint(got) != fmt.Sprint(found[n:]) {
			k.fatalf("from %d: %v, want %v", from, got, found[n:])
		}
	}
}

func (k *keeper) checkTime(found []protocol.Offset) {
	ts, want := nowMs()-k.rng.Int64N(6000), protocol.NoOffset
	for _, o := range found {
		if k.records[o].ts >= ts {
			want = o
			break
		}
	}
	got, ok, err := k.l.OffsetForTimestamp(ts, k.end)
	if control := ok && k.records[got.Offset] == nil; control || err != nil {
		if err != nil {
			k.fatalf("offset for time: %v", err)
		}
		return // a marker is the first
	}
	if ok != (want >= 0) || ok && got.Offset != want {
		k.fatalf("offset for time %d is %+v, %v; want %d", ts, got, ok, want)
	}
}

func (k *keeper) play() {
	switch n := k.rng.IntN(100); {
	case n < 40:
		k.append(protocol.NoProducerID, false)
	case n < 55:
		k.append(k.generation+protocol.ProducerID(k.rng.IntN(3)), false)
	case n < 60 && k.c.SegmentBytes%2 == 0: // every other run has transactions
		if k.open < 0 {
			k.open = txnProducer + protocol.ProducerID(k.n)
		}
		k.append(k.open, true)
	case n < 64 && k.open >= 0:
		k.endTransaction()
	case n < 72:
		time.Sleep(time.Duration(k.rng.IntN(3000)) * time.Millisecond)
	case n < 78:
		k.step("flush")
		if err := k.l.Flush(); err != nil {
			k.fatalf("flush: %v", err)
		}
	case n < 88:
		k.clean()
	case n < 90:
		to := max(protocol.Offset(k.l.cleaned.Load()), k.l.LogStartOffset())
		to += protocol.Offset(k.rng.Int64N(int64(k.end-to) + 1))
		if k.open >= 0 || to >= k.end || k.l.DurableEndOffset() > to {
			return // below is what replication never cuts
		}
		k.step("truncate %d", to)
		if err := k.l.Truncate(to); err != nil {
			k.fatalf("truncate: %v", err)
		}
		k.forget()
		k.resequence()
	case n < 93 && k.c.Delete:
		k.step("retain")
		k.s.retain()
	case n < 96:
		k.reopen()
	case n < 98:
		k.crash()
	default:
		k.s.files.CloseIdle()
	}
}

func (k *keeper) reopen() {
	k.step("reopen")
	before := k.l.producers.LastOffsets()
	if err := k.s.Close(); err != nil {
		k.fatalf("close: %v", err)
	}
	k.start()
	if after := k.l.producers.LastOffsets(); !maps.Equal(before, after) {
		k.fatalf("producers were at %v, are at %v", before, after)
	}
}

func (k *keeper) crash() {
	if k.open >= 0 {
		k.endTransaction()
	}
	if err := k.l.Flush(); err != nil {
		k.fatalf("flush: %v", err)
	}
	k.step("crash")
	before := k.l.producers.LastOffsets()
	k.fs = &tapped{Mem: k.fs.CrashClone(k.rng, k.rng.Float64())}
	k.start()
	k.forget()
	if after := k.l.producers.LastOffsets(); !maps.Equal(before, after) {
		k.fatalf("producers were at %v, are at %v", before, after)
	}
}

// resequence gives producers new ids: how sequences go on after a cut is another test's.
func (k *keeper) resequence() { k.generation += 10 }

func TestCompactedLogIsAsTheMapSays(t *testing.T) {
	clones, seeds := 0, uint64(24)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			c := DefaultConfig()
			c.SegmentBytes, c.IndexIntervalBytes, c.MinCleanableRatio, c.DeleteRetentionMs = int64(1500+seed%2), 200, 0, 8000
			c.Compact, c.Delete, c.RetentionBytes, c.RetentionMs = true, seed%4 == 1, 15_000, -1
			k := &keeper{
				t: t, rng: rand.New(rand.NewPCG(seed, 7)), fs: &tapped{Mem: vfs.NewMem()}, c: c, budget: 1, open: -1,
				records: map[protocol.Offset]*keyedRecord{}, seq: map[protocol.ProducerID]protocol.Sequence{},
			}
			k.step("seed %d", seed)
			k.start()
			for range 300 {
				k.play()
				k.check()
			}
			clones += k.clones
		})
	}
	t.Logf("%d crashes in cleanings", clones)
	if clones < int(seeds)*2 {
		t.Errorf("only %d crashes in cleanings", clones)
	}
}
