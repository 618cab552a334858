package sim

import (
	"errors"
	"fmt"
	"time"

	"ottla/protocol"
)

// progressWithin is how long a healed cluster may take until it has a leader, takes changes, and all nodes have all of them. It covers the resending of a snapshot that was lost.
const progressWithin = 60 * time.Second

// settleEvents bounds the events of that time.
const settleEvents = 400_000

// replacedWithin is how long a voter that does not come back waits for another one to take its place, on clocks that may run a third slower; replacedEvents bounds what happens until then.
const (
	replacedWithin = 16 * time.Minute
	replacedEvents = 2_000_000
)

// heal ends all faults and waits for progress: Progress.
func (s *simulation) heal() {
	s.healed = true
	s.say("everything heals")
	clear(s.net.cut)
	s.plan.jitter, s.plan.delay = 2*time.Millisecond, time.Millisecond
	s.retire()
	s.silence()
	s.calm = s.now
	for _, n := range s.nodes {
		n.disk.heal()
		n.slowUntil = 0
		n.wake()
		if !n.up && !n.gone {
			n.restartLater()
		}
	}
	within, bound := progressWithin, settleEvents
	if s.cover.Retired > 0 {
		within, bound = within+replacedWithin, bound+replacedEvents
	}
	until, first := s.now+within, s.cover.Events
	served := s.client.served
	ask := s.now
	var err error
	for s.err == nil {
		if s.now >= ask {
			if err = s.progress(served); err == nil {
				break
			}
			if s.client.served == served {
				s.client.ask(s.client.leader())
			}
			ask = s.now + 50*time.Millisecond
		}
		if s.now > until || s.cover.Events-first > bound {
			s.judge.failf("Progress: %v after everything healed: %w", s.now-until+within, err)
			return
		}
		s.step()
	}
	for _, n := range s.nodes {
		if n.up && n.controller.image != nil && s.err == nil {
			s.judge.imagesAreEqualAtEqualOffsets(n.controller, n.controller.image)
		}
	}
}

// progress tells what is still missing.
func (s *simulation) progress(served int) error {
	if s.client.served == served {
		return errors.New("no change was served")
	}
	end := protocol.Offset(s.judge.end())
	m := &s.judge.members[len(s.judge.members)-1]
	if len(m.outgoing) > 0 {
		return fmt.Errorf("members are still %v", *m)
	}
	for _, n := range s.nodes {
		switch {
		case n.gone || !m.includes(n.raftID()):
		case !n.up:
			return fmt.Errorf("node %d is down", n.number)
		case n.controller.image == nil:
			return fmt.Errorf("node %d has published nothing", n.number)
		case n.controller.image.Offset() != end:
			return fmt.Errorf("node %d is at offset %d, committed is %d", n.number, n.controller.image.Offset(), end)
		}
	}
	if err := s.brokersStand(); err != nil {
		return err
	}
	if s.plan.governed {
		if err := s.policyReached(); err != nil {
			return err
		}
	}
	return s.client.answered(s.now)
}

// answered: a request to a node that runs is answered in the end.
func (l *client) answered(now time.Duration) error {
	kept := l.open[:0]
	for _, r := range l.open {
		if !r.done {
			kept = append(kept, r)
		}
	}
	clear(l.open[len(kept):])
	l.open = kept
	if len(kept) > 0 && now-kept[0].at > 5*time.Second {
		return fmt.Errorf("node %d has not answered request %d", kept[0].to.n.number, kept[0].number)
	}
	return nil
}
