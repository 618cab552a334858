package quorum

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/liveness"
	"ottla/protocol"
)

// sessions is what Options.Liveness has been told, and what it has found.
type sessions struct {
	term  uint64            // of the leadership that it was told of
	due   bool              // brokers have changed since, or decisions are in doubt
	fence []liveness.Broker // to be fenced: before anything else is decided
}

// keepSessions tells who is registered: at the beginning of a leadership, and when that has changed.
func (q *Machine) keepSessions() {
	s := &q.sessions
	switch {
	case q.o.Liveness == nil || !q.mayDecide():
	case s.term != q.term:
		q.o.Liveness.Took(q.now, q.committed)
		*s = sessions{term: q.term}
	case s.due:
		q.o.Liveness.Published(q.now, q.committed)
		s.due = false
	}
}

// sessionsEnd is when the next session does; zero for never.
func (q *Machine) sessionsEnd() time.Time {
	if q.o.Liveness == nil || !q.mayDecide() || q.sessions.term != q.term {
		return time.Time{}
	}
	return q.o.Liveness.Deadline()
}

// expireSessions gathers the brokers whose sessions are over.
func (q *Machine) expireSessions(now time.Time) {
	if at := q.sessionsEnd(); !at.IsZero() && !now.Before(at) {
		q.sessions.fence = append(q.sessions.fence, q.o.Liveness.Expire(now)...)
	}
}

// Lost says that the process of a broker's incarnation is known to be gone, not only silent: nobody listens at its address any more. The leader takes it out of service at once; others do nothing.
func (q *Machine) Lost(now time.Time, id protocol.BrokerID, epoch protocol.BrokerEpoch) {
	if q.o.Liveness != nil && q.mayDecide() && q.sessions.term == q.term {
		q.o.Liveness.Lost(now, liveness.Broker{ID: id, Epoch: epoch})
	}
}

// fenceExpired proposes what expireSessions has gathered. A proposal that is dropped is asked for again by the machine of sessions.
func (q *Machine) fenceExpired() {
	s := &q.sessions
	for len(s.fence) > 0 && q.mayDecide() && s.term == q.term && q.mayPropose() {
		b := s.fence[0]
		s.fence = s.fence[1:]
		rs := decide.Fence(q.env(), q.speculative, b.ID, b.Epoch)
		if len(rs) == 0 {
			continue
		}
		if err := q.proposeAll(pending{}, rs, true); err != nil {
			q.o.Logger.Warn("broker was not fenced", "broker", b.ID, "error", err)
			continue
		}
		q.o.Logger.Info("broker is fenced: it was silent for a session", "broker", b.ID, "epoch", b.Epoch)
	}
}

// noteDecided tells what was decided of brokers. offset is that of its last record; NoOffset: it has none.
func (q *Machine) noteDecided(offset protocol.Offset, req kmsg.Request, resp kmsg.Response) {
	if q.o.Liveness != nil {
		q.o.Liveness.Decided(q.now, offset, req, resp)
	}
}
