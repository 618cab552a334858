package runtime

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// want makes the machine of a shard want Expire at a time.
func (g *rig) want(shard int32, at time.Time) {
	g.Write(shard, func(m *toy, _ time.Time) Effects { m.wants = at; return Effects{} }, func(err error) { g.t.Error(err) })
	synctest.Wait()
}

func TestExpireComesOnTime(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		first := g.machine()
		g.lead(1, 1)
		synctest.Wait()
		second := g.machine()
		start := time.Now()
		g.want(0, start.Add(time.Hour))
		g.want(1, start.Add(time.Minute)) // earlier than what the timer is set to
		g.want(0, start.Add(2*time.Hour)) // put off
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(second.expired) != 1 || !second.expired[0].Equal(start.Add(time.Minute)) {
			t.Errorf("the second expired at %v", second.expired)
		}
		if len(first.expired) != 1 || !first.expired[0].Equal(start.Add(2*time.Hour)) {
			t.Errorf("the first expired at %v", first.expired)
		}
	})
}

func TestWhatIsQueuedCountsBeforeTime(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		m := g.machine()
		g.want(0, time.Now().Add(time.Second))
		release := g.busy(0)
		time.Sleep(2 * time.Second)
		g.Write(0, func(m *toy, now time.Time) Effects { m.wants = now.Add(time.Second); return Effects{} }, func(err error) { t.Error(err) })
		release()
		synctest.Wait()
		if len(m.expired) != 0 {
			t.Error("a heartbeat that was in the queue came too late")
		}
	})
}

func TestExpireWritesAndIsNotCalledInALoop(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		m := g.machine()
		expiry := func(again bool) {
			g.Write(0, func(m *toy, now time.Time) Effects {
				m.wants, m.expired = now, nil
				m.expire = func(time.Time) Effects {
					if !again {
						m.wants = time.Time{}
					}
					return g.effects("expiry", Record{[]byte("a"), []byte("gone")})
				}
				return Effects{}
			}, func(err error) { t.Error(err) })
		}
		p.refuse(kerr.NotEnoughReplicas)
		expiry(true) // and wants the same again
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(m.expired); n < 19 || n > 21 {
			t.Errorf("%d calls in 10 s while appends fail", n)
		}
		g.answers()
		p.refuse(nil)
		expiry(false)
		time.Sleep(time.Second)
		synctest.Wait()
		p.commit(p.end)
		expect(t, g.answers(), "expiry ok")
	})
}

func TestNoDeadlineOutlivesItsLeadership(t *testing.T) {
	inBubble(t, Options[*toy]{}, func(t *testing.T, g *rig, p *partition) {
		m := g.machine()
		g.want(0, time.Now().Add(time.Second))
		g.Resign(0, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(m.expired) != 0 || len(g.deadlines.alarms) != 0 {
			t.Errorf("expired at %v, %d alarms", m.expired, len(g.deadlines.alarms))
		}
	})
}
