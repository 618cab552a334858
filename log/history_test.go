package log_test

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ottla/log"
	"ottla/log/vfs"
	"ottla/protocol"
)

// A history is a random life of a log directory: a hundred partitions and more, the metadata log among them, appends, flushes, rolls, truncations, deletions, retention,
// checkpoints, snapshots, clean stops, and crashes. Before and after every sync the power is cut in a copy of the disk (vfs.Mem.CrashClone), the copy is opened again and compared with
// what was promised; some cuts are real: the history goes on with what they have left. One seed is one history; time is virtual and all runs on one goroutine, so that
// a seed that fails does so again:
//
//	go test ./log -run TestHistories -histories 1 -seed 4711
var (
	historyCount = flag.Int("histories", 0, "how many histories TestHistories runs; 0: a few")
	historySeed  = flag.Uint64("seed", 1, "the seed of the first of them; the next ones follow")
	historySteps = flag.Int("steps", 40, "the steps of a history")
)

// everyPoint is how many of a step's cuts are all looked at.
const everyPoint = 16

// few is how many histories an ordinary test run has.
const few = 120

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// tally is what was done.
type tally struct{ steps, cuts, reopens, crashes, stops, cleanings, filtered, checks, resends int64 }

func (t *tally) add(o tally) {
	atomic.AddInt64(&t.steps, o.steps)
	atomic.AddInt64(&t.cuts, o.cuts)
	atomic.AddInt64(&t.reopens, o.reopens)
	atomic.AddInt64(&t.crashes, o.crashes)
	atomic.AddInt64(&t.stops, o.stops)
	atomic.AddInt64(&t.cleanings, o.cleanings)
	atomic.AddInt64(&t.filtered, o.filtered)
	atomic.AddInt64(&t.checks, o.checks)
	atomic.AddInt64(&t.resends, o.resends)
}

func TestHistories(t *testing.T) {
	n := uint64(*historyCount)
	if n == 0 {
		n = few
	}
	if testing.Short() {
		n = min(n, 20)
	}
	const workers = 2
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // thousands of small disks
	began := time.Now()
	var total tally
	t.Run("seeds", func(t *testing.T) {
		for w := range uint64(workers) {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := *historySeed + w; seed < *historySeed+n; seed += workers {
					done, err := playHistory(t, seed, *historySteps)
					total.add(done)
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
					if count := seed - *historySeed; n > few && count%200 < workers {
						fmt.Printf("%s: up to seed %d: %+v\n", time.Since(began).Round(time.Second), seed, total)
					}
				}
			})
		}
	})
	t.Logf("%d histories, seeds %d to %d: %+v in %s", n, *historySeed, *historySeed+n-1, total, time.Since(began).Round(time.Millisecond))
}

// playHistory plays one in a bubble of virtual time; the error ends with its steps.
func playHistory(t *testing.T, seed uint64, steps int) (done tally, err error) {
	base := template(t, seed%templates)
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(seed, base)
		h.play(steps)
		done, err = h.tally, h.err
	})
	return done, err
}

// history plays one.
type history struct {
	rng   *rand.Rand // of the steps
	dice  *rand.Rand // of the cuts and checks
	disk  *cutDisk
	store *log.Store
	logs  map[protocol.TopicPartition]*log.Log
	*world
	meta *metadata

	hot     []protocol.TopicPartition // most steps are theirs
	busy    []protocol.TopicPartition // touched by the newest steps, the newest last
	trace   []string
	values  int
	ids     byte
	boots   int  // of the machine
	serving bool // cuts are taken

	points  int      // syncs, before and after, of this step
	crashIn int      // cuts until a real one; 0: none is due
	left    *vfs.Mem // what the real cut left
	frozen  *world   // what was promised then

	tally
	err error
}

func newHistory(seed uint64, base *starting) *history {
	h := &history{
		rng: rand.New(rand.NewPCG(seed, 1)), dice: rand.New(rand.NewPCG(seed, 2)),
		world: base.world.clone(), ids: 100,
	}
	h.disk = &cutDisk{Mem: h.after(base.disk, 1), cut: h.cut}
	if err := noteBoot(h.disk.Mem, h.boots); err != nil {
		h.failf("boot: %w", err)
	}
	names := h.names()
	for range 5 {
		h.hot = append(h.hot, names[h.rng.IntN(len(names))])
	}
	if compacted := slices.DeleteFunc(names, func(tp protocol.TopicPartition) bool { return !h.parts[tp].config.Compact }); len(compacted) > 0 {
		h.hot[0] = compacted[h.rng.IntN(len(compacted))] // the cleaner is to have something to do
	}
	return h
}

func (h *history) play(steps int) {
	defer func() {
		if r := recover(); r != nil {
			h.err = fmt.Errorf("panic: %v\n%s\nafter %s", r, debug.Stack(), strings.Join(h.trace, "\n"))
		}
	}()
	h.serving = true
	h.open()
	for n := 0; n < steps && h.err == nil; n++ {
		h.tally.steps++
		h.points = 0
		h.step()
		if h.left != nil && h.err == nil {
			h.resume()
		}
	}
	if h.err == nil {
		h.serving = false
		h.say("the end")
		h.checkAll(h.after(h.disk.Mem, h.survival()))
	}
	if h.err != nil {
		h.err = fmt.Errorf("%w\nafter %s", h.err, strings.Join(h.trace, "\n"))
	}
}

func (h *history) say(format string, args ...any) {
	h.trace = append(h.trace, fmt.Sprintf(format, args...))
}

// failf notes the first thing that is wrong.
func (h *history) failf(format string, args ...any) {
	if h.err == nil {
		h.err = fmt.Errorf(format, args...)
	}
}

// touch says that tp is worth a look at the next cuts.
func (h *history) touch(tp protocol.TopicPartition) {
	if i := slices.Index(h.busy, tp); i >= 0 {
		h.busy = slices.Delete(h.busy, i, i+1)
	}
	h.busy = append(h.busy, tp)
	if len(h.busy) > 2 {
		h.busy = h.busy[1:]
	}
}

// survival is the probability with which unsynced changes outlive a cut.
func (h *history) survival() float64 {
	switch h.dice.IntN(8) {
	case 0, 1:
		return 0
	case 2:
		return 1
	}
	return h.dice.Float64()
}

// cut is called at every sync.
func (h *history) cut(done bool) {
	if !h.serving || h.left != nil || h.err != nil {
		return
	}
	// After a sync the disk is what it is before the next one, but for what is written in between: the few that are looked at see to that. A stop or a restart syncs every
	// partition: of what is beyond the first syncs of a step a share is looked at.
	h.points++
	if h.points <= everyPoint && (!done || h.dice.IntN(4) == 0) || h.dice.IntN(16) == 0 {
		h.cuts++
		h.checkCut(h.after(h.disk.Mem, h.survival()))
	}
	if h.crashIn > 0 {
		if h.crashIn--; h.crashIn == 0 {
			survive := h.survival()
			h.say("power cut, sync done: %v, surviving %.2f", done, survive)
			h.crash(survive)
		}
	}
}

// after is the disk that a node finds that starts again: where all has survived only the process died, else the machine has another boot id.
func (h *history) after(disk *vfs.Mem, survive float64) *vfs.Mem {
	left := disk.CrashClone(h.dice, survive)
	if survive < 1 {
		h.boots++
		if err := noteBoot(left, h.boots); err != nil {
			h.failf("boot: %w", err)
		}
	}
	return left
}

func (h *history) crash(survive float64) {
	h.crashes++
	h.left, h.frozen, h.crashIn = h.after(h.disk.Mem, survive), h.world.clone(), 0
}

// Part of the observer: what the logs of this history tell.
type listener struct {
	h  *history
	tp protocol.TopicPartition
}

func (o listener) Durable(l *log.Log, end protocol.Offset) {
	p := o.h.parts[o.tp]
	if o.h.logs[o.tp] != l || p == nil {
		return // of a store that the power cut has ended
	}
	p.durable, p.vouched = max(p.durable, min(end, p.end())), true
}

func (o listener) Offline(l *log.Log, err error) {
	if o.h.left == nil {
		o.h.failf("%s is offline: %w", o.tp, err)
	}
}

// Committed bounds compaction by what no leader has cut any more.
func (o listener) Committed(l *log.Log) protocol.Offset {
	if o.h.logs[o.tp] != l {
		return 0
	}
	return o.h.parts[o.tp].high
}

// open opens the store and all partitions of the world; they are loaded when used.
func (h *history) open() {
	store, err := log.OpenStore(log.StoreOptions{FS: h.disk, Dirs: []string{"d"}, Logger: quiet, OpenFiles: 64})
	if err != nil {
		h.failf("open the store: %w", err)
		return
	}
	store.Serial()
	h.store, h.logs = store, map[protocol.TopicPartition]*log.Log{}
	store.Begin()
	for _, tp := range h.names() {
		h.openLog(h.parts[tp])
	}
	h.openMetadata()
}

func (h *history) openLog(p *part) *log.Log {
	l, err := h.store.Open(p.tp, p.id, p.config, listener{h, p.tp})
	if err != nil {
		h.failf("open %s: %w", p.tp, err)
		return nil
	}
	h.logs[p.tp] = l
	return l
}

// resume goes on with what the cut has left: every log is loaded and compared, and what it has is what counts from here on.
func (h *history) resume() {
	h.disk, h.world = &cutDisk{Mem: h.left, cut: h.cut}, h.frozen
	h.left, h.frozen = nil, nil
	h.say("restart")
	h.settleDeletions()
	h.open()
	for _, tp := range h.names() {
		if h.err != nil || h.left != nil {
			return
		}
		if p := h.parts[tp]; p.vouched || p.end() > 0 || p.possible() != nil || p.resetting || h.rng.IntN(8) == 0 {
			h.touch(tp)
			h.adopt(p, h.logs[tp])
		}
	}
}

// settleDeletions finds out how far the deletions came that were under way.
func (h *history) settleDeletions() {
	for _, tp := range h.names() {
		p := h.parts[tp]
		if !p.deleting {
			continue
		}
		if _, err := h.disk.Stat("d/" + tp.String()); err == nil {
			p.durable, p.kept, p.vouched = 0, 0, false
			continue
		}
		h.replace(p)
	}
}

// replace makes the partition a new one of the same name.
func (h *history) replace(p *part) *part {
	h.ids++
	next := newPart(p.tp.Topic, p.tp.Partition, protocol.TopicID{h.ids}, h.pickConfig())
	h.gone[p.tp] = append(slices.Clip(h.gone[p.tp]), p.id)
	h.parts[p.tp] = next
	return next
}

// adopt compares a log that was loaded after a crash, and takes what it has for what there is.
func (h *history) adopt(p *part, l *log.Log) {
	start, end := l.LogStartOffset(), l.LogEndOffset()
	if h.left != nil {
		return // the power was cut during recovery
	}
	if err := h.compare(p, l); err != nil {
		h.failf("%s after the restart: %w", p.tp, err)
		return
	}
	list, removed, err := h.present(p, l, upTo(p.possible(), end), start, end)
	if err != nil {
		h.failf("%s after the restart: %w", p.tp, err)
		return
	}
	p.batches, p.first, p.start = list, end, start
	p.removed = slices.DeleteFunc(slices.Concat(p.removed, removed), func(w written) bool { return w.next > end })
	if start == end && len(list) > 0 && list[len(list)-1].next != end {
		p.batches = nil // the log start outlived them
	}
	p.epoch = max(p.epoch, l.LatestEpoch())
	p.durable, p.kept = min(p.durable, end), min(p.kept, start)
	p.clear()
}

// template is what histories begin with: a hundred partitions that were stopped cleanly.
const templates = 8

type starting struct {
	once  sync.Once
	disk  *vfs.Mem
	world *world
}

var startings [templates]starting

func template(t *testing.T, n uint64) *starting {
	s := &startings[n]
	s.once.Do(func() {
		synctest.Test(t, func(t *testing.T) {
			h := &history{rng: rand.New(rand.NewPCG(n, 3)), dice: rand.New(rand.NewPCG(n, 4)), ids: 1}
			h.world = &world{parts: map[protocol.TopicPartition]*part{}, gone: map[protocol.TopicPartition][]protocol.TopicID{}}
			h.disk = &cutDisk{Mem: vfs.NewMem(), cut: h.cut}
			for i := range int32(100) {
				p := newPart("t", i, protocol.TopicID{1}, h.pickConfig())
				h.parts[p.tp] = p
			}
			h.open()
			for _, tp := range h.names() {
				for range h.rng.IntN(5) {
					h.append(h.parts[tp])
				}
			}
			h.stop()
			if h.err != nil {
				t.Fatal(h.err)
			}
			s.disk, s.world = h.disk.Mem, h.world
		})
	})
	return s
}
