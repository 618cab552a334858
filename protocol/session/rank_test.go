package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"ottla/protocol/wire"
)

// TestVictimIsWorthLeast: the ranks give what looking at every session gives, whatever was made, used, resized, dropped and evicted before.
func TestVictimIsWorthLeast(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := NewCache(Options{Slots: 20, MaxPartitions: 100, MinEviction: time.Minute, Random: counting()})
		now := time.Unix(0, 0)
		var made []*session
		for range 1000 {
			now = now.Add(time.Duration(r.IntN(20)) * time.Second)
			privileged, size := r.IntN(3) == 0, 1+r.IntN(9)
			if got, want := c.victim(privileged, size, now), everyVictim(c, privileged, size, now); got != want {
				t.Fatalf("seed %d: session %v, want %v", seed, idOf(got), idOf(want))
			}
			if len(made) == 0 || r.IntN(3) == 0 {
				if s := c.create(asked(size), false, privileged, now); s != nil {
					c.release(s)
					made = append(made, s)
				}
				continue
			}
			switch s := made[r.IntN(len(made))]; r.IntN(4) {
			case 0:
				c.remove(s.id)
			case 1:
				c.resize(s, r.IntN(9))
			default:
				if s, err := c.claim(s.id, s.epoch, false, now); err == nil {
					c.release(s)
				}
			}
		}
	}
}

func idOf(s *session) int32 {
	if s == nil {
		return wire.NoSessionID
	}
	return s.id
}

func asked(n int) []Partition {
	all := make([]Partition, n)
	for i := range all {
		all[i].Topic, all[i].Index = "t", int32(i)
	}
	return all
}

// everyVictim is Cache.victim, looking at each session.
func everyVictim(c *Cache, privileged bool, size int, now time.Time) *session {
	var least *session
	for e := c.lastUsed.Front(); e != nil; e = e.Next() {
		s := e.Value.(*session)
		if e == c.lastUsed.Front() && now.Sub(s.used) > c.o.MinEviction {
			return s
		}
		candidate := s.used.Sub(s.created) > c.o.MinEviction || privileged && !s.privileged
		if candidate && (least == nil || s.worth(least.privileged, least.size, least.id) < 0) {
			least = s
		}
	}
	if least == nil || least.worth(privileged, size, 0) >= 0 {
		return nil
	}
	return least
}
