package log

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

// setBoot makes id the run of the machine whose disk mem is.
func setBoot(t testing.TB, mem *vfs.Mem, id string) {
	t.Helper()
	if err := mem.MkdirAll("/proc/sys/kernel/random"); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(mem, "/proc/sys/kernel/random/boot_id", []byte(id+"\n")); err != nil {
		t.Fatal(err)
	}
}

func noteOf(t testing.TB, mem *vfs.Mem) checkpoint.Boot {
	t.Helper()
	b, err := checkpoint.ReadBoot(mem, "d")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBootID: who was killed finds the run of the machine that it noted, before anything else was changed; after a power cut, or without an id, nobody does.
func TestBootID(t *testing.T) {
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	s := openStore(t, mem)
	if s.dirs[0].boot.same {
		t.Fatal("a new directory remembers a boot")
	}
	s.dirs[0].start()
	if got := noteOf(t, mem.CrashClone(nil, 0)); got.ID != "A" || len(got.Suspects) > 0 {
		t.Fatalf("%+v", got)
	}
	for id, same := range map[string]bool{"A": true, "B": false, "": false} {
		killed := mem.CrashClone(nil, 1)
		setBoot(t, killed, id)
		if got := openStore(t, killed).dirs[0].boot.same; got != same {
			t.Errorf("boot %q: same is %v", id, got)
		}
	}
	damaged := mem.CrashClone(nil, 1)
	if err := writeFile(damaged, "d/ottla.boot", []byte("00000000\nA\n")); err != nil {
		t.Fatal(err)
	}
	setBoot(t, damaged, "A")
	if openStore(t, damaged).dirs[0].boot.same {
		t.Error("a damaged note is believed")
	}
}

// TestSuspects: what a power cut has met stays under suspicion until it is recovered, also when the process is killed before it comes to that.
func TestSuspects(t *testing.T) {
	tp1 := protocol.TopicPartition{Topic: "t", Partition: 1}
	mem := vfs.NewMem()
	setBoot(t, mem, "A")
	s := openStore(t, mem)
	for _, tp := range []protocol.TopicPartition{tp0, tp1} {
		l, err := s.Open(tp, id0, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, records(1, "a"), 0)
		mustFlush(t, l)
	}
	mem = mem.CrashClone(nil, 0)
	for _, step := range []struct {
		boot string
		load bool
		want string
	}{{"B", false, "[t-0 t-1]"}, {"B", true, "[t-1]"}, {"B", false, "[t-1]"}, {"C", false, "[t-0 t-1]"}} {
		mem = mem.CrashClone(nil, 1)
		setBoot(t, mem, step.boot)
		s = openStore(t, mem)
		s.dirs[0].start()
		if step.load {
			if end := openLog(t, s, DefaultConfig(), NopObserver{}).LogEndOffset(); end != 1 {
				t.Fatalf("the log ends at %d", end)
			}
			if s.dirs[0].wholeCache(tp1) || !s.dirs[0].wholeCache(tp0) {
				t.Fatal("recovered is the wrong one")
			}
			if err := s.dirs[0].checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(noteOf(t, mem).Suspects); got != step.want {
			t.Fatalf("boot %s: suspects %s, want %s", step.boot, got, step.want)
		}
	}
}

// crashRun is a log under random use, with what may be believed of it.
type crashRun struct {
	t       *testing.T
	rng     *rand.Rand
	mem     *vfs.Mem
	store   *Store
	log     *Log
	config  Config
	boot    int
	ts      int64
	epoch   protocol.LeaderEpoch
	batches []string          // appended, in order, as readAll describes them
	ends    []protocol.Offset // behind each
	times   []int64           // the largest timestamp of each
	vouched protocol.Offset   // durable for who was told
}

// TestRecoveryAfterAnyCrash: whatever is done and however it ends (kill or power cut, one after the other), what was vouched for is there, in its order and nothing else; after a kill
// everything is. Every offset and every timestamp is found as a walk over all batches finds it.
func TestRecoveryAfterAnyCrash(t *testing.T) {
	for seed := range uint64(60) {
		r := &crashRun{t: t, rng: rand.New(rand.NewPCG(seed, 7)), mem: vfs.NewMem(), config: DefaultConfig(), ts: 1000}
		r.config.SegmentBytes = 2000 + r.rng.Int64N(60_000)
		r.config.IndexIntervalBytes = 1 + r.rng.Int64N(400)
		r.open()
		for range 4 {
			r.use()
			r.crash()
			r.open()
			r.check(seed)
		}
	}
}

func (r *crashRun) open() {
	setBoot(r.t, r.mem, fmt.Sprint(r.boot))
	r.store = openStore(r.t, r.mem)
	if r.rng.IntN(8) == 0 { // dies before it looks at the log
		r.store.dirs[0].start()
		r.mem = r.mem.CrashClone(nil, 1)
		setBoot(r.t, r.mem, fmt.Sprint(r.boot))
		r.store = openStore(r.t, r.mem)
	}
	r.log = openLog(r.t, r.store, r.config, NopObserver{})
}

func (r *crashRun) use() {
	for range 20 + r.rng.IntN(400) {
		switch n := r.rng.IntN(100); {
		case n < 90:
			r.append()
		case n < 96:
			mustFlush(r.t, r.log)
			r.vouched = r.log.DurableEndOffset()
		case n < 98:
			r.log.dir.dirty.Store(true)
			if err := r.log.dir.checkpoint(); err != nil {
				r.t.Fatal(err)
			}
		case r.vouched > 0:
			r.truncate(protocol.Offset(r.rng.Int64N(int64(r.log.LogEndOffset()) + 1)))
		}
	}
}

func (r *crashRun) append() {
	r.ts += r.rng.Int64N(20) - 5
	values := make([]string, 1+r.rng.IntN(3))
	for i := range values {
		values[i] = fmt.Sprint("v", r.ts, "-", i)
	}
	if r.rng.IntN(30) == 0 {
		r.epoch++
	}
	info := mustAppend(r.t, r.log, records(r.ts, values...), r.epoch)
	text := fmt.Sprintf("%d@%d", info.BaseOffset, r.epoch)
	for _, v := range values {
		text += " " + v
	}
	r.batches, r.ends, r.times = append(r.batches, text), append(r.ends, info.NextOffset), append(r.times, r.ts+int64(len(values)-1))
}

func (r *crashRun) truncate(to protocol.Offset) {
	if err := r.log.Truncate(to); err != nil {
		r.t.Fatal(err)
	}
	r.keep(r.log.LogEndOffset())
	r.vouched = min(r.vouched, r.log.LogEndOffset())
}

// keep forgets the batches beyond end, which is a boundary.
func (r *crashRun) keep(end protocol.Offset) {
	n := 0
	for n < len(r.ends) && r.ends[n] <= end {
		n++
	}
	r.batches, r.ends, r.times = r.batches[:n], r.ends[:n], r.times[:n]
}

func (r *crashRun) crash() {
	if r.rng.IntN(2) == 0 {
		r.mem = r.mem.CrashClone(nil, 1)
		r.vouched = r.end()
		return
	}
	r.boot++
	r.mem = r.mem.CrashClone(r.rng, r.rng.Float64())
}

func (r *crashRun) end() protocol.Offset {
	if len(r.ends) == 0 {
		return 0
	}
	return r.ends[len(r.ends)-1]
}

func (r *crashRun) check(seed uint64) {
	end := r.log.LogEndOffset()
	if r.log.Err() != nil || end < r.vouched {
		r.t.Fatalf("seed %d: the log ends at %d, %d was vouched for: %v", seed, end, r.vouched, r.log.Err())
	}
	r.keep(end)
	if got := readAll(r.t, r.log, 0, end, 1<<20); !slices.Equal(got, r.batches) {
		r.t.Fatalf("seed %d: %d batches, want %d, to %d", seed, len(got), len(r.batches), end)
	}
	for epoch := range r.epoch + 1 {
		want := r.epochEnd(epoch)
		if _, got := r.log.EpochEnd(epoch); want >= 0 && got != want {
			r.t.Fatalf("seed %d: epoch %d ends at %d, want %d", seed, epoch, got, want)
		}
	}
	for range min(20, len(r.batches)) {
		i := r.rng.IntN(len(r.batches))
		if got := readAll(r.t, r.log, r.ends[i]-1, r.ends[i], 1); len(got) != 1 || got[0] != r.batches[i] {
			r.t.Fatalf("seed %d: at %d: %v, want %s", seed, r.ends[i]-1, got, r.batches[i])
		}
		found, ok, err := r.log.OffsetForTimestamp(r.times[i], end)
		first := slices.IndexFunc(r.times, func(at int64) bool { return at >= r.times[i] })
		if err != nil || !ok || found.Offset >= r.ends[first] || first > 0 && found.Offset < r.ends[first-1] {
			r.t.Fatalf("seed %d: time %d: %+v %v %v, want it in %s", seed, r.times[i], found, ok, err, r.batches[first])
		}
	}
}

// epochEnd is where the records of epochs up to the given one end, -1 if there are none of it.
func (r *crashRun) epochEnd(epoch protocol.LeaderEpoch) protocol.Offset {
	end := protocol.NoOffset
	for i, b := range r.batches {
		var base, e int64
		if _, err := fmt.Sscanf(b, "%d@%d", &base, &e); err != nil {
			r.t.Fatal(err)
		}
		if protocol.LeaderEpoch(e) == epoch {
			end = r.ends[i]
		}
	}
	return end
}
