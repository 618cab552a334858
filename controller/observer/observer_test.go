package observer

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller"
	"ottla/protocol"
)

// TestFollows: all that there is comes as one change, and then every change in its order.
func TestFollows(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{})
		m.register()
		for i := range 10 {
			m.create("before-%d", i)
		}
		w := r.observe(Options{}, m)
		defer w.end()
		w.equals(m)
		if n := w.told(); n != 1 {
			t.Errorf("%d deltas for what there was", n)
		}
		for i := range 30 {
			m.create("after-%d", i)
			if i%3 == 0 {
				m.delete("before-" + string(rune('0'+i/3)))
			}
		}
		w.equals(m)
		if n := w.told(); n != 1+30+10 {
			t.Errorf("%d deltas", n)
		}
		answers := make(chan answer, 1)
		w.Submit(protocol.Anonymous, createTopic("by-the-observer"), func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
		if a := <-answers; a.err != nil {
			t.Error(a.err)
		}
		w.equals(m)
		at := w.Image().Offset()
		time.Sleep(time.Minute)
		if w.Image().Offset() != at || w.told() != 42 {
			t.Error("something changed in a minute in which nothing did")
		}
	})
}

// TestFetchesASnapshot: the log no longer begins at its beginning, and the snapshot comes in many chunks.
func TestFetchesASnapshot(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{SnapshotEntries: 20})
		m.register()
		for i := range 70 {
			m.create("topic-%d", i)
		}
		r.until("there is a large snapshot", func() bool {
			end, term, ok := m.NewestSnapshot()
			_, size, err := m.ReadSnapshot(end, term, 0, 1)
			return ok && err == nil && size > 2000 && end > 40
		})
		for i := range 5 {
			m.create("more-%d", i)
		}
		w := r.observe(Options{MaxChunk: 500, MaxEntries: 1}, m)
		defer w.end()
		w.equals(m)
	})
}
