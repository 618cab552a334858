//go:build clients

package clients

import (
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sessionTalk is a fetch session under way.
type sessionTalk struct {
	x       *exchange
	version int16
	id      int32
	epoch   int32
}

// begin asks for a full fetch that opens a session.
func (x *exchange) begin(version int16, req *kmsg.FetchRequest) *sessionTalk {
	s := &sessionTalk{x: x, version: version}
	s.next(req)
	return s
}

// next sends req as the session's next request.
func (s *sessionTalk) next(req *kmsg.FetchRequest) {
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	if resp, ok := s.x.ask(s.version, req).(*kmsg.FetchResponse); ok && resp.ErrorCode == 0 {
		s.id = resp.SessionID
		s.epoch++
	}
}

// nothing is an incremental request that changes nothing.
func nothing() *kmsg.FetchRequest {
	req := fetchOf("", [16]byte{}, 0)
	req.Topics = nil
	return req
}

func forgetting(topic string, id [16]byte, partitions ...int32) *kmsg.FetchRequest {
	req := nothing()
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: topic, TopicID: id, Partitions: partitions}}
	return req
}

// sessionCases are about KIP-227.
func sessionCases() []rawCase {
	cases := each(1, 7, "session", func(x *exchange, v int16) {
		name := fmt.Sprintf("session-%d", v)
		id := x.topic(name, 3)
		x.fill(name, 0, batchOf("a"), batchOf("b"))
		all := fetchOf(name, id, 0)
		for p := int32(1); p < 3; p++ {
			all.Topics[0].Partitions = append(all.Topics[0].Partitions, fetchOf(name, id, p).Topics[0].Partitions[0])
		}
		s := x.begin(v, all)
		s.next(nothing())
		s.next(fetching(name, id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = 2 }))
		s.next(nothing())
		x.fill(name, 1, batchOf("c"))
		s.next(nothing())
		s.next(forgetting(name, id, 1))
		s.next(nothing())
		s.next(forgetting(name, id, 1, 9))
		s.next(fetchOf(name, id, 1))
		s.next(fetchOf(name, id, 9))
		s.next(nothing())
		s.next(forgetting("never-created", nowhere, 0))
		s.next(fetchOf("never-created", nowhere, 0))
		s.next(nothing())
	})
	cases = append(cases, each(1, 7, "session: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("session-wrong-%d", v)
		id := x.filled(name, batchOf("a"))
		s := x.begin(v, fetchOf(name, id, 0))
		for _, epoch := range []int32{2, 0, 5, math.MaxInt32, -2} {
			if epoch == 0 {
				continue
			}
			x.ask(v, inSession(nothing(), s.id, epoch))
		}
		x.ask(v, inSession(nothing(), s.id^0x5a5a5a, 1))
		x.ask(v, inSession(nothing(), -5, 1))
		x.ask(v, inSession(nothing(), 0, 1))
		x.ask(v, inSession(fetchOf(name, id, 0), 0, 7))
		s.next(nothing())
		x.ask(v, inSession(fetchOf(name, id, 0), s.id, -1))
		x.ask(v, inSession(nothing(), s.id, s.epoch))
	})...)
	return append(cases,
		rawCase{"session: begun anew", func(x *exchange) {
			id := x.filled("session-anew", batchOf("a"))
			s := x.begin(11, fetchOf("session-anew", id, 0))
			old := s.id
			x.ask(11, inSession(fetchOf("session-anew", id, 0), s.id, 0))
			x.ask(11, inSession(nothing(), old, 1))
		}},
		rawCase{"session: empty", func(x *exchange) {
			x.ask(11, inSession(nothing(), 0, 0))
			x.ask(11, inSession(nothing(), 0, -1))
			x.ask(11, inSession(nothing(), 77, 0))
			id := x.filled("session-emptied", batchOf("a"))
			s := x.begin(11, fetchOf("session-emptied", id, 0))
			s.next(forgetting("session-emptied", id, 0))
			s.next(nothing())
			s.next(fetchOf("session-emptied", id, 0))
		}},
		rawCase{"session: topic deleted", func(x *exchange) {
			for _, v := range []int16{11, 13} {
				name := fmt.Sprintf("session-gone-%d", v)
				id := x.filled(name, batchOf("a"))
				s := x.begin(v, fetchOf(name, id, 0))
				x.drop(name)
				s.next(nothing())
				s.next(nothing())
			}
		}},
		rawCase{"session: topic recreated", func(x *exchange) {
			for _, v := range []int16{11, 13} {
				name := fmt.Sprintf("session-again-%d", v)
				old := x.filled(name, batchOf("a"))
				s := x.begin(v, fetchOf(name, old, 0))
				x.drop(name)
				x.known.topic(old, name+", the first")
				id := x.filled(name, batchOf("b"))
				s.next(nothing())
				s.next(fetchOf(name, id, 0))
				s.next(nothing())
				s.next(forgetting(name, old, 0))
				s.next(nothing())
			}
		}},
		rawCase{"session: with and without topic ids", func(x *exchange) {
			id := x.filled("session-mixed", batchOf("a"))
			s := x.begin(13, fetchOf("session-mixed", id, 0))
			s.version = 12
			s.next(nothing())
			s = x.begin(12, fetchOf("session-mixed", id, 0))
			s.version = 13
			s.next(nothing())
		}},
		rawCase{"session: before its topic exists", func(x *exchange) {
			s := x.begin(11, fetchOf("session-early", [16]byte{}, 0))
			s.next(nothing())
			x.filled("session-early", batchOf("a"))
			s.next(nothing())
			s.next(nothing())
		}},
		rawCase{"session: a partition twice", func(x *exchange) {
			id := x.filled("session-twice", batchOf("a"))
			req := fetchOf("session-twice", id, 0)
			req.Topics = append(req.Topics, req.Topics[0])
			s := x.begin(11, req)
			s.next(nothing())
		}},
		rawCase{"session: added and forgotten at once", func(x *exchange) {
			id := x.filled("session-both", batchOf("a"))
			s := x.begin(11, fetchOf("session-both", id, 0))
			req := fetchOf("session-both", id, 0)
			req.ForgottenTopics = forgetting("session-both", id, 0).ForgottenTopics
			s.next(req)
			s.next(nothing())
		}},
		rawCase{"session: an error goes on being told", func(x *exchange) {
			id := x.filled("session-error", batchOf("a"))
			s := x.begin(11, fetching("session-error", id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = 5 }))
			s.next(nothing())
			s.next(fetchOf("session-error", id, 0))
			s.next(nothing())
		}},
		rawCase{"session: the log start moves", func(x *exchange) {
			id := x.filled("session-start", batchOf("a"), batchOf("b"))
			s := x.begin(11, fetching("session-start", id, func(_ *fetchRequest, p *fetchPartition) { p.FetchOffset = 2 }))
			s.next(nothing())
			must[*kmsg.DeleteRecordsResponse](x, 1, deleteOf("session-start", 0, 1))
			s.next(nothing())
			s.next(nothing())
		}},
	)
}

func inSession(req *kmsg.FetchRequest, id, epoch int32) *kmsg.FetchRequest {
	req.SessionID, req.SessionEpoch = id, epoch
	return req
}
