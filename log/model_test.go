package log

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// model is a log as anybody would write it: a list of batches.
type model struct {
	start   protocol.Offset
	batches []modelBatch
}

type modelBatch struct {
	base, next protocol.Offset
	epoch      protocol.LeaderEpoch
	times      []int64
	text       string
}

func (m *model) end() protocol.Offset {
	if n := len(m.batches); n > 0 {
		return m.batches[n-1].next
	}
	return m.start
}

func (m *model) truncate(to protocol.Offset) {
	for n := len(m.batches); n > 0 && m.batches[n-1].next > to; n-- {
		m.batches = m.batches[:n-1]
	}
}

func (m *model) text(from protocol.Offset) []string {
	var out []string
	for _, b := range m.batches {
		if b.next > from {
			out = append(out, b.text)
		}
	}
	return out
}

// byTime is the first record at or past start whose time is at least ts.
func (m *model) byTime(ts int64) protocol.Offset {
	for _, b := range m.batches {
		for i, t := range b.times {
			if o := b.base + protocol.Offset(i); t >= ts && o >= m.start {
				return o
			}
		}
	}
	return -1
}

func (m *model) newest() protocol.Offset {
	best, at := int64(-1), protocol.Offset(-1)
	for _, b := range m.batches {
		for i, t := range b.times {
			if t > best {
				best, at = t, b.base+protocol.Offset(i)
			}
		}
	}
	return at
}

// player drives a real log and a model with the same steps.
type player struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *vfs.Mem
	s     *Store
	l     *Log
	m     model
	c     Config
	epoch protocol.LeaderEpoch
	n     int
	steps []string
}

func (p *player) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(p.steps, ", "))
}

func (p *player) step(format string, args ...any) {
	p.steps = append(p.steps, fmt.Sprintf(format, args...))
}

func (p *player) open() {
	p.s = openStore(p.t, p.fs)
	p.l = openLog(p.t, p.s, p.c, NopObserver{})
	_ = p.l.LogEndOffset()
	if err := p.l.Err(); err != nil {
		p.fatalf("load: %v", err)
	}
}

func (p *player) append() {
	b := batch.NewBuilder()
	b.Codec = batch.Codec(p.rng.IntN(2))
	mb := modelBatch{base: p.m.end(), epoch: p.epoch}
	for range 1 + p.rng.IntN(4) {
		p.n++
		ts := time.Now().UnixMilli() - p.rng.Int64N(5000)
		v := fmt.Sprint(p.n, strings.Repeat("x", p.rng.IntN(200)))
		b.Add(ts, nil, []byte(v))
		mb.times = append(mb.times, ts)
		mb.text += " " + v
	}
	mb.next = mb.base + protocol.Offset(len(mb.times))
	mb.text = fmt.Sprintf("%d@%d%s", mb.base, mb.epoch, mb.text)
	info := mustAppend(p.t, p.l, b.Build(nil), p.epoch)
	p.step("append %d..%d", mb.base, mb.next)
	if info.BaseOffset != mb.base || info.NextOffset != mb.next {
		p.fatalf("appended at %d..%d, want %d..%d", info.BaseOffset, info.NextOffset, mb.base, mb.next)
	}
	p.m.batches = append(p.m.batches, mb)
}

// somewhere is an offset in the log, or its end.
func (p *player) somewhere() protocol.Offset {
	return p.m.start + protocol.Offset(p.rng.Int64N(int64(p.m.end()-p.m.start)+1))
}

func (p *player) crash() {
	durable := p.l.DurableEndOffset()
	survive := p.rng.Float64()
	p.step("crash with %d durable, %.2f surviving", durable, survive)
	p.fs = p.fs.CrashClone(p.rng, survive)
	p.open()
	end := p.l.LogEndOffset()
	if end < durable || end > p.m.end() {
		p.fatalf("log ends at %d, want %d to %d", end, durable, p.m.end())
	}
	switch before := p.m.end(); {
	case len(*p.l.segments.Load()) == 0:
		p.m.batches = nil
	case (*p.l.segments.Load())[0].Base() == end:
		p.m.batches = nil // records were deleted up to what the crash has taken, or further
	case end < before:
		p.m.truncate(end)
		if p.m.end() != end && len(p.m.batches) > 0 {
			p.fatalf("log ends at %d, inside a batch", end)
		}
	}
	p.m.start = p.l.LogStartOffset() // what DeleteRecords did in the last minute may be forgotten
	p.trim()
}

// trim forgets the batches that the log has deleted.
func (p *player) trim() {
	first := p.l.LogEndOffset()
	if segs := *p.l.segments.Load(); len(segs) > 0 {
		first = segs[0].Base()
	}
	for len(p.m.batches) > 0 && p.m.batches[0].next <= first {
		p.m.batches = p.m.batches[1:]
	}
}

func (p *player) play() {
	l := p.l
	switch k := p.rng.IntN(100); {
	case k < 55:
		p.append()
	case k < 65:
		p.step("flush")
		if err := l.Flush(); err != nil {
			p.fatalf("flush: %v", err)
		}
		if l.DurableEndOffset() != p.m.end() {
			p.fatalf("durable %d, want %d", l.DurableEndOffset(), p.m.end())
		}
	case k < 70:
		to := p.somewhere()
		p.step("truncate %d", to)
		if err := l.Truncate(to); err != nil {
			p.fatalf("truncate: %v", err)
		}
		p.m.truncate(to)
		if len(p.m.batches) == 0 {
			p.m.start = l.LogEndOffset()
		}
		p.m.start = min(p.m.start, p.m.end())
	case k < 75:
		to := p.somewhere()
		p.step("delete records before %d", to)
		if err := l.AdvanceLogStart(to); err != nil {
			p.fatalf("advance: %v", err)
		}
		p.m.start = max(p.m.start, to)
	case k < 80:
		p.step("retain")
		time.Sleep(time.Second)
		p.s.retain()
		if l.LogStartOffset() < p.m.start {
			p.fatalf("log start fell to %d from %d", l.LogStartOffset(), p.m.start)
		}
		p.m.start = l.LogStartOffset()
		p.trim()
	case k < 84:
		p.epoch += protocol.LeaderEpoch(p.rng.IntN(3))
	case k < 88:
		p.step("checkpoint")
		p.s.checkpoint()
	case k < 92:
		p.step("reopen")
		if err := p.s.Close(); err != nil {
			p.fatalf("close: %v", err)
		}
		p.open()
		if !p.s.dirs[0].clean || !p.l.asFound && p.l.active() != nil {
			p.fatalf("not a clean start")
		}
		p.trim()
	case k < 96:
		p.crash()
	default:
		p.s.files.CloseIdle()
	}
}

func (p *player) check() {
	p.t.Helper()
	l := p.l
	if l.Err() != nil {
		p.fatalf("offline: %v", l.Err())
	}
	if l.LogStartOffset() != p.m.start || l.LogEndOffset() != p.m.end() {
		p.fatalf("log is [%d, %d), want [%d, %d)", l.LogStartOffset(), l.LogEndOffset(), p.m.start, p.m.end())
	}
	from := p.somewhere()
	want := p.m.text(from)
	if got := readAll(p.t, l, from, p.m.end(), p.rng.IntN(3000)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.fatalf("from %d: read\n%s\nwant\n%s", from, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	ts := time.Now().UnixMilli() - p.rng.Int64N(8000)
	found, ok, err := l.OffsetForTimestamp(ts, p.m.end())
	if err != nil || ok != (p.m.byTime(ts) >= 0) || ok && found.Offset != p.m.byTime(ts) {
		p.fatalf("offset for time %d is %+v, %v, %v; want %d", ts, found, ok, err, p.m.byTime(ts))
	}
	p.checkEpochs()
	found, ok, err = l.MaxTimestamp(p.m.end())
	if segs := *l.segments.Load(); len(segs) == 0 || len(p.m.batches) == 0 || segs[0].Base() < p.m.batches[0].base {
		return // a crash has brought a deleted segment back, whose records below the log start offset count here
	}
	if err != nil || (found.Offset >= p.m.start || p.m.newest() >= p.m.start) && p.m.start < p.m.end() && found.Offset != p.m.newest() {
		p.fatalf("max timestamp is at %+v, %v, %v; want %d", found, ok, err, p.m.newest())
	}
}

// checkEpochs compares the ends of the epochs with those of the batches.
func (p *player) checkEpochs() {
	latest := protocol.LeaderEpoch(-1)
	if n := len(p.m.batches); n > 0 {
		latest = p.m.batches[n-1].epoch
	}
	for wanted := latest; wanted >= 0 && wanted > latest-4; wanted-- {
		want := protocol.Offset(-1)
		for _, b := range p.m.batches {
			if b.epoch > wanted && want < 0 {
				want = max(b.base, p.m.start)
			}
		}
		if want < 0 {
			want = p.m.end()
		}
		if _, got := p.l.EpochEnd(wanted); got != want && p.m.start < p.m.end() {
			p.fatalf("epoch %d ends at %d, want %d (%v)", wanted, got, want, p.l.epochs.entries)
		}
	}
}

func TestLogIsAsTheModelSays(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			c := DefaultConfig()
			c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs, c.RetentionBytes = 2500, 300, 20_000, 12_000
			p := &player{t: t, rng: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewMem(), c: c}
			p.step("seed %d", seed)
			p.open()
			for range 150 {
				p.play()
				p.check()
			}
		})
	}
}
