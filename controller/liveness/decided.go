package liveness

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// Decided takes what was decided, in the order of decisions: registrations and heartbeats are signs of life. offset is that of the records that came of it; NoOffset if none did.
func (m *Machine) Decided(now time.Time, offset protocol.Offset, req kmsg.Request, resp kmsg.Response) {
	switch req := req.(type) {
	case *kmsg.BrokerRegistrationRequest:
		if resp, ok := resp.(*kmsg.BrokerRegistrationResponse); ok && resp.ErrorCode == 0 {
			m.registered(now, Broker{protocol.BrokerID(req.BrokerID), protocol.BrokerEpoch(resp.BrokerEpoch)}, req.IncarnationID)
		}
	case *kmsg.BrokerHeartbeatRequest:
		if resp, ok := resp.(*kmsg.BrokerHeartbeatResponse); ok && resp.ErrorCode == 0 {
			m.heartbeat(now, offset, req, resp)
		}
	}
}

func (m *Machine) registered(now time.Time, b Broker, incarnation protocol.ID) {
	if s := m.sessions[b.ID]; s == nil || s.epoch != b.Epoch {
		m.begin(now, b.ID, b.Epoch, incarnation)
	}
	m.Heard(now, b, protocol.NoOffset)
}

// heartbeat: who may stop is out of service with this very decision, and is not waited for.
func (m *Machine) heartbeat(now time.Time, offset protocol.Offset, req *kmsg.BrokerHeartbeatRequest, resp *kmsg.BrokerHeartbeatResponse) {
	b := Broker{protocol.BrokerID(req.BrokerID), protocol.BrokerEpoch(req.BrokerEpoch)}
	m.Heard(now, b, protocol.Offset(req.CurrentMetadataOffset))
	s := m.sessions[b.ID]
	switch {
	case s == nil || s.epoch != b.Epoch:
	case resp.ShouldShutdown:
		s.over = true
	case req.WantShutdown && offset != protocol.NoOffset:
		s.handover = max(s.handover, offset)
	}
}
