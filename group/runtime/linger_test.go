package runtime

import (
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// later is put by WriteLater.
func (g *rig) later(shard int32, key, value string) {
	name := key + "=" + value
	g.WriteLater(shard, func(*toy, time.Time) Effects { return g.effects(name, Record{[]byte(key), []byte(value)}) },
		func(err error) { g.note("%s refused %s", name, codeOf(err)) })
}

func TestWhatLingersSharesAnAppendAndASettling(t *testing.T) {
	settled := 0
	inBubble(t, Options[*toy]{Linger: 5 * time.Millisecond, Settle: func() { settled++ }}, func(t *testing.T, g *rig, p *partition) {
		p.follow = true
		other := g.lead(1, 1)
		other.follow = true
		synctest.Wait()
		settled = 0
		g.later(0, "a", "1")
		time.Sleep(2 * time.Millisecond)
		g.later(1, "b", "1")
		g.later(0, "a", "2")
		expect(t, g.answers())
		time.Sleep(3 * time.Millisecond)
		got := g.answers()
		slices.Sort(got)
		expect(t, got, "a=1 ok", "a=2 ok", "b=1 ok")
		if len(p.batches) != 1 || len(other.batches) != 1 {
			t.Fatalf("%d and %d appends", len(p.batches), len(other.batches))
		}
		if settled == 0 {
			t.Fatal("nobody settled")
		}
	})
}

func TestASettlingThatHangsHoldsUpNoTick(t *testing.T) {
	var hang atomic.Pointer[chan struct{}] // of one settling
	settle := func() {
		if c := hang.Swap(nil); c != nil {
			<-*c
		}
	}
	inBubble(t, Options[*toy]{Linger: 5 * time.Millisecond, Settle: settle}, func(t *testing.T, g *rig, p *partition) {
		p.follow = true
		c := make(chan struct{})
		defer close(c)
		hang.Store(&c)
		for _, v := range []string{"1", "2"} {
			g.later(0, "a", v)
			time.Sleep(5 * time.Millisecond)
			expect(t, g.answers(), "a="+v+" ok")
		}
	})
}

func TestAWriteTakesAlongWhatLingers(t *testing.T) {
	inBubble(t, Options[*toy]{Linger: time.Hour}, func(t *testing.T, g *rig, p *partition) {
		p.follow = true
		g.later(0, "a", "1")
		g.put(0, "a", "2")
		expect(t, g.answers(), "a=1 ok", "a=2 ok")
		g.later(0, "a", "3")
		time.Sleep(time.Hour)
		expect(t, g.answers(), "a=3 ok")
	})
}

func TestReadsAndTouchesOvertakeWhatLingers(t *testing.T) {
	inBubble(t, Options[*toy]{Linger: time.Hour}, func(t *testing.T, g *rig, p *partition) {
		p.follow = true
		g.later(0, "a", "1")
		g.Touch(0, func(m *toy, _ time.Time) { g.note("touched %d", m.values.Len()) }, func(err error) { t.Error(err) })
		now, _, _ := g.state(0)
		expectMap(t, "the current state", now)
		expect(t, g.answers(), "touched 0")
	})
}

func TestWhatLingersCountsBeforeTimeDoes(t *testing.T) {
	inBubble(t, Options[*toy]{Linger: time.Hour}, func(t *testing.T, g *rig, p *partition) {
		p.follow = true
		m := g.machine()
		m.expire = func(time.Time) Effects {
			v, _ := m.values.Get("a")
			g.note("expired at a=%s", v)
			m.wants = time.Time{}
			return Effects{}
		}
		g.Touch(0, func(m *toy, now time.Time) { m.wants = now.Add(time.Minute) }, func(err error) { t.Error(err) })
		g.later(0, "a", "1")
		time.Sleep(time.Minute)
		expect(t, g.answers(), "expired at a=1", "a=1 ok")
	})
}

func TestWhatLingersIsAnsweredWhenLeadershipEnds(t *testing.T) {
	inBubble(t, Options[*toy]{Linger: time.Hour}, func(t *testing.T, g *rig, p *partition) {
		g.later(0, "a", "1")
		g.Resign(0, 2)
		expect(t, g.answers(), "a=1 refused NOT_COORDINATOR")
	})
}

// arrivals lets n operations come in a second, one after the other, and tells how many of them were to linger.
func arrivals(p *pace, now *time.Time, n int) (lingered int) {
	for range n {
		*now = now.Add(time.Second / time.Duration(n))
		if p.lingers(*now) {
			lingered++
		}
	}
	return lingered
}

func TestPaceFollowsHowMuchComes(t *testing.T) {
	p, now := &pace{fixed: -1}, time.Unix(1_000_000, 0)
	if n := arrivals(p, &now, 400); n > 0 {
		t.Fatalf("%d of 400 in a second linger", n)
	}
	if n := arrivals(p, &now, 2000); n < 1200 {
		t.Fatalf("%d of 2000 in a second linger", n)
	}
	for range 500 { // a burst
		p.lingers(now)
	}
	if n := arrivals(p, &now, 2000); n != 2000 {
		t.Fatalf("%d of 2000 in the second after a burst linger", n)
	}
	now = now.Add(time.Minute)
	if p.lingers(now) {
		t.Fatal("one that comes alone lingers")
	}
	arrivals(p, &now, 2000)
	if n := arrivals(p, &now, 2000); n != 2000 {
		t.Fatalf("%d of 2000 in a second linger: what has ended by itself was nobody's fault", n)
	}
}

// A client that sends the next operation a millisecond after the last was answered, or when that has lingered.
func TestPaceSparesThoseWhoWait(t *testing.T) {
	p, now := &pace{fixed: -1}, time.Unix(1_000_000, 0)
	lingered := 0
	for end := now.Add(time.Minute); now.Before(end); now = now.Add(time.Millisecond) {
		if p.lingers(now) {
			lingered++
			now = now.Add(p.window())
		}
	}
	if lingered == 0 || lingered > 200 {
		t.Fatalf("%d linger in a minute", lingered)
	}
}

func TestPaceAsConfigured(t *testing.T) {
	for _, ms := range []int{0, 5} {
		t.Run(strconv.Itoa(ms), func(t *testing.T) {
			p := &pace{fixed: time.Duration(ms) * time.Millisecond}
			if p.window() != p.fixed || p.lingers(time.Unix(1_000_000, 0)) != (ms > 0) {
				t.Fatal(p)
			}
		})
	}
}
