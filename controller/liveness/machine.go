package liveness

import (
	"slices"
	"time"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/protocol"
)

// fastEvery is how often one broker may be fenced because its process is known to be gone: one that crashes in a circle would have leaderships go back and forth with it.
const fastEvery = 10 * time.Second

// Machine keeps the sessions of brokers. It belongs to the goroutine that drives the quorum. Times are of one clock that does not go back.
type Machine struct {
	session  time.Duration
	self     Self
	image    *image.Image // the newest that was published
	sessions map[protocol.BrokerID]*session
	fast     map[protocol.BrokerID]time.Time // when a broker was last fenced because it is gone
}

var _ decide.Sessions = (*Machine)(nil)

// session is that of one incarnation of a broker.
type session struct {
	epoch protocol.BrokerEpoch
	until time.Time // when it is over, or when fencing is asked for again
	over  bool
	// incarnation is the process that registered.
	incarnation protocol.ID
	// applied is the metadata offset that the broker has applied.
	applied protocol.Offset
	// handover is the offset of what last moved leaderships away from the broker in its controlled shutdown; NoOffset: it is in none.
	handover protocol.Offset
}

// Broker is one incarnation of a broker.
type Broker struct {
	ID    protocol.BrokerID
	Epoch protocol.BrokerEpoch
}

// Self is the broker of this very process.
type Self struct {
	ID          protocol.BrokerID
	Incarnation protocol.ID
}

// New makes a machine with sessions of the given length (broker.session.timeout.ms). It knows nobody before Took.
func New(length time.Duration, self Self) *Machine {
	return &Machine{session: length, self: self, image: image.Empty(), sessions: map[protocol.BrokerID]*session{}, fast: map[protocol.BrokerID]time.Time{}}
}

// Took begins a leadership: every registered broker gets one full session, whatever was known of it before.
// The broker of this very process does not expire; an earlier incarnation of it is not alive, even if a call of it has only come now.
func (m *Machine) Took(now time.Time, img *image.Image) {
	clear(m.sessions)
	m.Published(now, img)
}

// Published takes an image in which registrations have changed, or which shows what became of decisions in doubt. An incarnation that is new here gets a session. What was
// decided after the image stays.
func (m *Machine) Published(now time.Time, img *image.Image) {
	m.image = img
	for _, b := range img.Brokers() {
		s := m.sessions[b.ID]
		if s == nil || s.epoch != b.Epoch && int64(s.epoch) <= int64(img.Offset()) {
			s = m.begin(now, b.ID, b.Epoch, b.Incarnation)
		}
		if s.epoch == b.Epoch && b.InControlledShutdown && s.handover == protocol.NoOffset {
			s.handover = img.Offset() // what moved them is no later
		}
	}
	for id, s := range m.sessions {
		if img.Broker(id) == nil && int64(s.epoch) <= int64(img.Offset()) {
			delete(m.sessions, id)
		}
	}
}

func (m *Machine) begin(now time.Time, id protocol.BrokerID, epoch protocol.BrokerEpoch, incarnation protocol.ID) *session {
	s := &session{epoch: epoch, incarnation: incarnation, until: now.Add(m.session), applied: protocol.NoOffset, handover: protocol.NoOffset}
	m.sessions[id] = s
	return s
}

// Heard says that an incarnation was heard of, and what it has applied. One that is not registered any more is ignored.
func (m *Machine) Heard(now time.Time, b Broker, applied protocol.Offset) {
	s := m.sessions[b.ID]
	if s == nil || s.epoch != b.Epoch {
		return
	}
	s.until, s.over = now.Add(m.session), false
	s.applied = max(s.applied, applied)
}

// Lost says that the process of an incarnation is known to be gone, not only silent: connections to it are refused. It expires at once, unless this broker did lately.
func (m *Machine) Lost(now time.Time, b Broker) {
	s := m.sessions[b.ID]
	if s == nil || s.epoch != b.Epoch || s.over || b.ID == m.self.ID {
		return
	}
	if last, ok := m.fast[b.ID]; ok && now.Sub(last) < fastEvery {
		return
	}
	m.fast[b.ID] = now
	s.until = now
}

// Deadline is when Expire wants to be called; zero for never.
func (m *Machine) Deadline() (first time.Time) {
	for id, s := range m.sessions {
		if m.waits(id, s) && (first.IsZero() || s.until.Before(first)) {
			first = s.until
		}
	}
	return first
}

// waits tells whether something is to happen when s is over: its end, or fencing that did not come about.
func (m *Machine) waits(id protocol.BrokerID, s *session) bool {
	return id != m.self.ID && (!s.over || !m.fenced(id, s))
}

// fenced tells whether the image shows this very incarnation out of service.
func (m *Machine) fenced(id protocol.BrokerID, s *session) bool {
	b := m.image.Broker(id)
	return b != nil && b.Epoch == s.epoch && b.Fenced
}

// Expire ends the sessions that are over, and gives the brokers to be fenced, by id. It gives one again after another session for as long as no image shows it fenced. If it is called
// half a session late this process slept, and knows nothing of what it did not hear: everybody gets another session.
func (m *Machine) Expire(now time.Time) (fence []Broker) {
	first := m.Deadline()
	slept := !first.IsZero() && now.Sub(first) > m.session/2
	for id, s := range m.sessions {
		switch {
		case !m.waits(id, s):
		case slept:
			s.until = now.Add(m.session)
		case !now.Before(s.until):
			s.over, s.until = true, now.Add(m.session)
			if !m.fenced(id, s) {
				fence = append(fence, Broker{id, s.epoch})
			}
		}
	}
	slices.SortFunc(fence, func(a, b Broker) int { return int(a.ID) - int(b.ID) })
	return fence
}

// Alive implements decide.Sessions. Who was not heard of since this leadership began may be alive, but for a predecessor of this very process.
func (m *Machine) Alive(id protocol.BrokerID) bool {
	s := m.sessions[id]
	return s != nil && !s.over && (id != m.self.ID || s.incarnation == m.self.Incarnation)
}

// Followed implements decide.Sessions. It is false for as long as it is not known.
func (m *Machine) Followed(id protocol.BrokerID) bool {
	s := m.sessions[id]
	if s == nil || s.handover == protocol.NoOffset {
		return false
	}
	for _, b := range m.image.Brokers() {
		if b.ID == id || b.Fenced {
			continue
		}
		if other := m.sessions[b.ID]; other == nil || other.applied < s.handover {
			return false
		}
	}
	return true
}
