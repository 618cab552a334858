package quorum

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/liveness"
	"ottla/protocol"
)

// sessions is what the leader knows of which brokers are alive, and whom it is to take out of service.
type sessions struct {
	*liveness.Machine                   // nil: none are kept, and no broker expires
	term              uint64            // of the leadership that they are of
	barrier           uint64            // up to which it is known what became of decisions in doubt
	fence             []liveness.Broker // that are over
}

func newSessions(length time.Duration) (s sessions) {
	if length > 0 {
		s.Machine = liveness.New(length)
	}
	return s
}

// known is for decisions.
func (s *sessions) known() decide.Sessions {
	if s.Machine == nil {
		return nil
	}
	return s.Machine
}

// keepsSessions tells whether sessions of this leadership have begun.
func (q *Machine) keepsSessions() bool {
	return q.sessions.Machine != nil && q.leads && q.sessions.term == q.term
}

// beginSessions gives everybody one when deciding begins, and after a break of it.
func (q *Machine) beginSessions() {
	s := &q.sessions
	switch {
	case s.Machine == nil || !q.mayDecide():
	case s.term != q.term:
		s.term, s.barrier, s.fence = q.term, q.barrier, nil
		s.Took(q.now, q.committed, q.o.NodeID)
	case s.barrier != q.barrier:
		s.barrier = q.barrier
		s.Published(q.now, q.committed)
	}
}

// noteBrokers has the sessions follow the registrations.
func (q *Machine) noteBrokers(d *image.Delta) {
	if q.keepsSessions() && (d == nil || len(d.Brokers) > 0) {
		q.sessions.Published(q.now, q.committed)
	}
}

// noteDecided takes a decision as a sign of life.
func (q *Machine) noteDecided(at protocol.Offset, req kmsg.Request, resp kmsg.Response) {
	if q.keepsSessions() {
		q.sessions.Decided(q.now, at, req, resp)
	}
}

// Lost says that the process of a broker's incarnation is known to be gone, not only silent: nobody listens at its address any more. The leader takes it out of service at once; others do nothing.
func (q *Machine) Lost(now time.Time, id protocol.BrokerID, epoch protocol.BrokerEpoch) {
	if q.keepsSessions() {
		q.sessions.Lost(now, liveness.Broker{ID: id, Epoch: epoch})
	}
}

func (q *Machine) expireSessions(now time.Time) {
	if q.keepsSessions() {
		q.sessions.fence = append(q.sessions.fence, q.sessions.Expire(now)...)
	}
}

// sessionsDeadline is when the next one ends; zero for never.
func (q *Machine) sessionsDeadline() time.Time {
	if !q.keepsSessions() {
		return time.Time{}
	}
	return q.sessions.Deadline()
}

// fenceExpired takes brokers out of service whose session is over. What is lost on the way is asked for again by the session.
func (q *Machine) fenceExpired() {
	for len(q.sessions.fence) > 0 && q.mayPropose() {
		b := q.sessions.fence[0]
		q.sessions.fence = q.sessions.fence[1:]
		rs := decide.Fence(q.env(), q.speculative, b.ID, b.Epoch)
		if len(rs) == 0 {
			continue
		}
		q.o.Logger.Info("broker is out of service: it was not heard of", "broker", b.ID, "epoch", b.Epoch)
		if err := q.proposeAll(pending{}, rs, true); err != nil {
			q.o.Logger.Warn("broker was not taken out of service", "broker", b.ID, "error", err)
		}
	}
}
