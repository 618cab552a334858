package replica

import (
	"testing"

	"ottla/controller/image"
	"ottla/log"
	"ottla/log/batch"
	"ottla/log/vfs"
	"ottla/protocol"
)

// running is a broker outside of a bubble and on a real disk, with one topic.
func running(t testing.TB) (*broker, *Partition) {
	t.Chdir(t.TempDir())
	b := boot(t, vfs.OS{}, topic("t", 1)...)
	t.Cleanup(func() { b.stop(t) })
	return b, b.leader(t, "t", 0)
}

func TestNoAllocations(t *testing.T) {
	b, p := running(t)
	raw, info, id := records(10), log.AppendInfo{}, topicID("t")
	appendAgain := func() {
		batch.Place(raw, 0, -1) // the log has put it elsewhere
		if err := p.Append(raw, 1, log.AppendOptions{}, &info); err != nil {
			t.Fatal(err)
		}
	}
	o := log.ReadOptions{MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: -1, LastFetchedEpoch: -1}
	var out log.ReadResult
	p.mustAppend(t, 1, acksAll)
	for p.Offsets().HighWatermark == 0 {
		if err := p.log.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func(){
		"leader": func() {
			if _, err := b.Leader(id, 0); err != nil {
				t.Fatal(err)
			}
		},
		"append": appendAgain,
		"read": func() {
			if err := p.Read(o, &out); err != nil || out.Range.Source == nil {
				t.Fatal(err)
			}
			out.Range.Source.Release()
		},
	} {
		// What the flusher allocates meanwhile is counted as well; it is less than one a call.
		if n := testing.AllocsPerRun(2000, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkLeader(b *testing.B) {
	m, _ := running(b)
	id := topicID("t")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Leader(id, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	_, p := running(b)
	raw, info := records(10), log.AppendInfo{}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		batch.Place(raw, 0, -1)
		if err := p.Append(raw, 1, log.AppendOptions{}, &info); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	_, p := running(b)
	p.mustAppend(b, 10, acksAll)
	if err := p.log.Flush(); err != nil {
		b.Fatal(err)
	}
	o := log.ReadOptions{MaxBytes: 1 << 20, CurrentEpoch: -1, LastFetchedEpoch: -1}
	var out log.ReadResult
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Read(o, &out); err != nil {
			b.Fatal(err)
		}
		if out.Range.Source != nil {
			out.Range.Source.Release()
		}
	}
}

// BenchmarkCreate10000Partitions is one delta.
func BenchmarkCreate10000Partitions(b *testing.B) {
	empty := image.Empty()
	next, delta := empty.Apply(protocol.Offset(1), 1, topic("t", 10_000))
	for b.Loop() {
		b.StopTimer()
		m := boot(b, vfs.NewMem())
		b.StartTimer()
		m.Manager.Apply(next, delta)
		b.StopTimer()
		m.stop(b)
		b.StartTimer()
	}
}
