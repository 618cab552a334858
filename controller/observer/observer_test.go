package observer

import (
	"strconv"
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

// TestLogCompactedUnderTheReader: an observer that was away for long finds a snapshot where it left off, and is told what is different.
func TestLogCompactedUnderTheReader(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{SnapshotEntries: 20})
		m.register()
		m.create("stays")
		m.create("goes")
		w := r.observe(Options{}, m)
		defer w.end()
		w.equals(m)
		left := w.Image().Offset()
		r.network.Cut(host(observerID), host(m.id))
		m.delete("goes")
		for i := range 100 {
			m.create("topic-%d", i)
		}
		r.until("the log begins later", func() bool { return m.logStart() > left+1 })
		r.network.Heal(host(observerID), host(m.id))
		w.equals(m)
		if img := w.Image(); img.Topic("goes") != nil || img.Topic("stays") == nil {
			t.Error("a topic that was deleted is there, or one that was not is gone")
		}
		// And while it fetches: entries come faster than it takes them, one by one.
		for i := range 200 {
			m.delete("topic-" + strconv.Itoa(i%100))
			m.create("topic-%d", i%100)
		}
		w.equals(m)
	})
}

// TestAnotherMemberTakesOver: whoever is followed goes, and then the next one; nothing is missed or told twice.
func TestAnotherMemberTakesOver(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.three()
		w := r.observe(Options{}, r.members...)
		defer w.end()
		w.equals(r.members[0])
		for round := range 3 {
			followed := w.follows()
			followed.hangUp()
			r.members[0].create("round-%d", round)
			w.equals(r.members[0])
			if w.follows() == followed {
				t.Fatalf("it still follows %d, whose server has ended", followed.id)
			}
			followed.listen()
		}
		// One that says nothing any more is given up, too.
		followed := w.follows()
		r.network.Cut(host(observerID), host(followed.id))
		r.members[0].create("silence")
		w.equals(r.members[0])
		r.network.Heal(host(observerID), host(followed.id))
	})
}

// TestTheLeaderIsLeftAlone as long as there are others.
func TestTheLeaderIsLeftAlone(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.three()
		leader := r.members[0].Image().ControllerID()
		w := r.observe(Options{}, r.members...)
		defer w.end()
		w.equals(r.members[0])
		for range 20 {
			w.follows().hangUp()
			for _, m := range r.members {
				m.hangUp()
				m.listen()
			}
			r.members[0].create("topic-%d", w.told())
			w.equals(r.members[0])
			if m := w.follows(); m.id == leader {
				t.Fatalf("it follows %d, which leads", leader)
			}
		}
	})
}

// TestMemberThatIsCutOff: what it has is old, and it says so. An observer that starts shows nothing of it; one that runs looks for another.
func TestMemberThatIsCutOff(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.three()
		old := r.members[2]
		running := r.observe(Options{}, old)
		defer running.end()
		running.equals(r.members[0])
		old.cut.Store(true)
		began := time.Now()
		r.members[0].create("new")
		running.among.Store(&[]*member{r.members[0], r.members[1], old})
		running.equals(r.members[0])
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to leave", took)
		}
		running.among.Store(&[]*member{old})
		sound := running.follows()
		sound.hangUp()
		sound.listen()
		starting := r.observe(Options{}, old)
		defer starting.end()
		time.Sleep(time.Minute)
		if starting.told() != 0 || starting.Image().Offset() != -1 {
			t.Error("it shows what a member has that is cut off")
		}
		running.equals(r.members[0])
		old.cut.Store(false)
		starting.equals(r.members[0])
		r.members[0].create("newer")
		running.equals(r.members[0])
		starting.equals(r.members[0])
	})
}

// TestNothingIsShownBeforeTheGoal: a member that has not applied all that is committed is no reason to show less.
func TestNothingIsShownBeforeTheGoal(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{})
		m.register()
		m.create("first")
		slow := slowed(m, m.Image().Offset())
		m.create("last")
		m.serve(slow)
		w := r.observe(Options{}, m)
		defer w.end()
		time.Sleep(time.Minute)
		if w.told() != 0 || w.Image().Offset() != -1 {
			t.Errorf("it shows offset %d of %d", w.Image().Offset(), m.Image().Offset())
		}
		m.serve(m.Controller)
		w.equals(m)
	})
}

// TestNeverBackwards: a member with less than this node has is left, whatever it says.
func TestNeverBackwards(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m := r.start(controller.Options{SnapshotEntries: 10})
		m.register()
		for i := range 30 {
			m.create("topic-%d", i)
		}
		end, term := m.awaitSnapshot()
		w := r.observe(Options{}, m)
		defer w.end()
		w.equals(m)
		told := w.told()
		forgetful := slowed(m, m.Image().Offset()+1)
		forgetful.start, forgetful.end, forgetful.term = m.Image().Offset()+10, end, term
		for name, behind := range map[string]*slowMetadata{
			"fewer entries":   {Controller: m.Controller, high: m.Image().Offset() - 3},
			"an old snapshot": forgetful,
		} {
			m.serve(behind)
			time.Sleep(time.Minute)
			if w.told() != told || w.Image().Offset() != m.Image().Offset() {
				t.Errorf("%s: it was followed to %d", name, w.Image().Offset())
			}
		}
		m.serve(m.Controller)
		m.create("on")
		w.equals(m)
	})
}
