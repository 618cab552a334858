package liveness

import (
	"math/rand/v2"
	"testing"
	"time"

	"ottla/controller/image"
	"ottla/protocol"
)

// sign is a sign of life of one incarnation, or of its end.
type sign struct {
	at   int
	b    Broker
	lost bool
}

// TestSessionsAgainstHistory plays random events, and asks the whole history who was right to be fenced: nobody who was heard of within a session and not lost since, nobody
// while the controller slept, everybody else in time, and each lost one once in ten seconds.
func TestSessionsAgainstHistory(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		img := image.Empty()
		for id := range int32(4) {
			img = registered(img, id+1)
		}
		m := New(length, Self{ID: 1})
		var history []sign
		everybody := func(ms int) {
			for _, b := range img.Brokers() {
				if !b.Fenced { // whose session was over before stays out
					history = append(history, sign{at: ms, b: Broker{b.ID, b.Epoch}})
				}
			}
		}
		m.Took(at(0), img)
		everybody(0)
		const session = int(length / time.Millisecond)
		fast := map[protocol.BrokerID]int{}
		for now, n := 0, 0; n < 400; n++ {
			step := rng.IntN(300)
			if rng.IntN(60) == 0 {
				step = 2*session + rng.IntN(session) // asleep
			}
			slept := step >= 2*session
			now += step
			if slept {
				everybody(now)
			}
			// Sessions end at the first call after their time; what the machine does in between must not matter, so it is called at every step.
			for _, b := range m.Expire(at(now)) {
				if slept || b.ID == 1 || img.Broker(b.ID).Epoch != b.Epoch {
					t.Fatalf("seed %d, %d ms: %v is to be fenced", seed, now, b)
				}
				if last := lastSign(history, b); !last.lost && now-last.at < session {
					t.Fatalf("seed %d, %d ms: %v is to be fenced, and was heard of at %d", seed, now, b, last.at)
				}
				img = fencing(img, int32(b.ID), true, false)
				m.Published(at(now), img)
			}
			for _, b := range img.Brokers() {
				last := lastSign(history, Broker{b.ID, b.Epoch})
				if due := last.lost || now-last.at >= session; due && !b.Fenced && b.ID != 1 {
					t.Fatalf("seed %d, %d ms: %d is in service, and was heard of last at %d", seed, now, b.ID, last.at)
				} else if want := b.ID != 1 && !due; b.ID != 1 && m.Alive(b.ID) != want {
					t.Fatalf("seed %d, %d ms: %d is alive: %v", seed, now, b.ID, !want)
				}
			}
			id := protocol.BrokerID(1 + rng.IntN(4))
			b := Broker{id, img.Broker(id).Epoch}
			switch rng.IntN(12) {
			case 0: // the process is gone
				m.Lost(at(now), b)
				last, ok := fast[id]
				if since := lastSign(history, b); id != 1 && (!ok || now-last >= 10_000) && !since.lost && now-since.at < session {
					fast[id] = now
					history = append(history, sign{now, b, true})
				}
			case 1: // another incarnation
				img = registered(img, int32(id))
				m.Published(at(now), img)
				history = append(history, sign{at: now, b: Broker{id, img.Broker(id).Epoch}})
			case 2: // what an earlier one said comes late
				m.Heard(at(now), Broker{id, b.Epoch - 1}, 0)
				m.Lost(at(now), Broker{id, b.Epoch - 1})
			default:
				if img.Broker(id).Fenced {
					img = fencing(img, int32(id), false, false)
					m.Published(at(now), img)
				}
				m.Heard(at(now), b, 0)
				history = append(history, sign{at: now, b: b})
			}
		}
	}
}

func lastSign(history []sign, b Broker) (last sign) {
	for _, s := range history {
		if s.b == b {
			last = s
		}
	}
	return last
}
