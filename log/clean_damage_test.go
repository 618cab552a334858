package log

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"ottla/log/batch"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// A base offset lies outside the CRC. If one jumps ahead the log is set aside: the swap file would seem to cover the segments behind it, and a start after a crash would remove them.
func TestCleaningBelievesNoOffsetThatJumps(t *testing.T) {
	fsys := &tapped{Mem: vfs.NewMem()}
	s := openStore(t, fsys)
	c := compacted()
	l := openLog(t, s, c, NopObserver{})
	for i := range 40 { // but for the first two, each of the first twenty has a key of its own
		mustAppend(t, l, keyedBatch(nowMs(), fmt.Sprint("k", max(1, min(i, 20))), fmt.Sprint("v", i)), 0)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	s.checkpoint()
	segs := *l.segments.Load()
	position, next := int64(0), segs[1].Base()
	if _, err := walkSegment(segs[0], 0, 0, func(c *segment.Cursor) (bool, error) { position = c.Position; return true, nil }); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open(segs[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{byte(next) + 8}, position+7); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	fsys.before = func() {
		crashed := openLog(t, openStore(t, fsys.CrashClone(nil, 1)), c, NopObserver{})
		_ = crashed.LogEndOffset()
		if crashed.Err() != nil {
			t.Fatal(crashed.Err())
		}
		if got := readAll(t, crashed, next, next+5, 1<<20); len(got) < 5 {
			t.Fatalf("records behind are lost: %v", got)
		}
	}
	size := l.Size()
	cleaner := cleanNow(t, s)
	fsys.before = nil
	if cleaner.aside[l].failures != 1 || l.Size() != size {
		t.Errorf("%+v, %d bytes of %d", cleaner.aside[l], l.Size(), size)
	}
}

// TestCleaningLeavesBombsAsTheyAre (J06): batches that inflate to gigabytes cost no memory for it, stay byte for byte, and what is around them is compacted. A tombstone stays if one of
// them may hold what it stands for.
func TestCleaningLeavesBombsAsTheyAre(t *testing.T) {
	for name, bomb := range storedBombs(t) {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, vfs.NewMem())
			c := compacted()
			c.DeleteRetentionMs = 0
			l := openLog(t, s, c, NopObserver{})
			fill(t, l, 10, 2)
			batch.Place(bomb, l.LogEndOffset(), 0)
			var info AppendInfo
			if err := l.Append(bomb, AppendOptions{Origin: Replica}, &info); err != nil {
				t.Fatal(err)
			}
			tombstone := batch.NewBuilder()
			tombstone.Add(nowMs(), []byte("k"), nil)
			mustAppend(t, l, tombstone.Build(nil), 0)
			fill(t, l, 20, 2)
			peak := peakHeap(t, func() {
				for range 3 {
					if cleaner := cleanNow(t, s); len(cleaner.aside) > 0 {
						t.Errorf("set aside: %v", cleaner.aside[l])
					}
					fill(t, l, 4, 2)
				}
			})
			if peak > 320<<20 {
				t.Errorf("%d bytes of memory", peak)
			}
			var offsets []protocol.Offset
			for _, seg := range *l.segments.Load() {
				if _, err := walkSegment(seg, 0, 0, func(cur *segment.Cursor) (bool, error) {
					if h := &cur.Header; h.Count > 0 {
						offsets = append(offsets, h.BaseOffset)
					}
					if cur.Header.BaseOffset == info.BaseOffset {
						if b, err := cur.Batch(nil); err != nil || !bytes.Equal(b, bomb) {
							t.Errorf("the bomb has changed, %v", err)
						}
					}
					return true, nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if len(offsets) < 2 || offsets[0] != info.BaseOffset || offsets[1] != info.BaseOffset+1 {
				t.Errorf("batches with records at %v, want the bomb's at %d to be the first, and the tombstone", offsets, info.BaseOffset)
			}
		})
	}
}

// storedBombs are sound batches of one record, each of which inflates to more than two gigabytes, or claims to.
func storedBombs(t *testing.T) map[string][]byte {
	t.Helper()
	const pieces, piece = 33, 64 << 20
	start := binary.AppendVarint(nil, math.MaxInt32)
	start = append(start, 0, 0, 0, 2, 'k')
	start = binary.AppendVarint(start, math.MaxInt32-100)
	var head, zeros bytes.Buffer
	for to, b := range map[*bytes.Buffer][]byte{&head: start, &zeros: make([]byte, piece)} {
		w, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(b) // a bytes.Buffer takes all
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	gz := append(head.Bytes(), bytes.Repeat(zeros.Bytes(), pieces)...) // one stream behind the other is one stream
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, byte(len(start) << 3), 0, 0}
	frame = append(frame, start...)
	frame = append(frame, bytes.Repeat([]byte{0x02, 0x00, 0x10, 0}, pieces*piece>>17)...) // 128 KiB of one byte
	frame = append(frame, 0x09, 0, 0, 0)
	claim := append([]byte{0x80, 0x80, 0x80, 0x80, 0x04}, make([]byte, 100)...) // a gigabyte of snappy
	bombs := map[string][]byte{}
	for codec, records := range map[batch.Codec][]byte{batch.Gzip: gz, batch.Zstd: frame, batch.Snappy: claim} {
		b := append(keyedBatch(nowMs(), "k", "v")[:batch.HeaderSize:batch.HeaderSize], records...)
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
		binary.BigEndian.PutUint16(b[21:], uint16(codec))
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		bombs[codec.String()] = b
	}
	return bombs
}

// peakHeap is the most that the heap holds while f runs, as often as one looks.
func peakHeap(t *testing.T, f func()) (peak uint64) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // garbage tells nothing
	runtime.GC()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for tick := time.NewTicker(time.Millisecond); ; {
		metrics.Read(heap)
		peak = max(peak, heap[0].Value.Uint64())
		select {
		case <-done:
			tick.Stop()
			return peak
		case <-tick.C:
		}
	}
}

// Known damage keeps the cleaner away: positions of bad ranges are those of the file that it would replace.
func TestCleaningLeavesBadRangesAlone(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLog(t, s, compacted(), NopObserver{})
	fill(t, l, 20, 2)
	first := (*l.segments.Load())[0]
	l.takeTurn()
	err := l.setRanges(first, []segment.Extent{{From: 1, To: 2, Position: 72, End: 144, Damage: &segment.DamageError{Err: fmt.Errorf("epoch")}}})
	l.endTurn()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(*l.segments.Load())
	cleanNow(t, s)
	if after := *l.segments.Load(); !slices.Equal(before, after) {
		t.Errorf("%d segments became %d", len(before), len(after))
	}
}

// A follower of a leader that was compacted once, and is not any more, gets gaps; they are no lost records.
func TestFollowerOfALogThatWasCompactedOnce(t *testing.T) {
	for _, id := range []string{"A", "B"} {
		mem := vfs.NewMem()
		setBoot(t, mem, "A")
		s := openStore(t, mem)
		c := DefaultConfig()
		c.SegmentBytes = 400
		l := openLog(t, s, c, NopObserver{})
		at := protocol.Offset(0)
		for i := range 20 {
			b := keyedBatch(nowMs(), "k", fmt.Sprint("v", i))
			batch.Place(b, at, 0)
			var info AppendInfo
			if err := l.Append(b, AppendOptions{Origin: Replica}, &info); err != nil {
				t.Fatal(err)
			}
			at += 1 + protocol.Offset(i%3)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		end := l.LogEndOffset()
		want := readAll(t, l, 0, end, 300)
		mem = mem.CrashClone(nil, 1) // without a checkpoint of the last seconds
		setBoot(t, mem, id)
		l = openLog(t, openStore(t, mem), c, NopObserver{})
		if got := l.LogEndOffset(); got != end || l.Err() != nil {
			t.Errorf("boot %s: ends at %d, want %d: %v", id, got, end, l.Err())
			continue
		}
		if got := readAll(t, l, 0, end, 300); !slices.Equal(got, want) {
			t.Errorf("boot %s: %v, want %v", id, got, want)
		}
	}
}
