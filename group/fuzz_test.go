package group

import (
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// stranger makes requests of bytes: what a client may send that keeps to no rule, but knows its way about.
type stranger struct {
	t     testing.TB
	bench *bench
	in    []byte
	ids   []string // member ids that were told
	open  int      // requests that are not answered
}

func (s *stranger) next() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

func pick[T any](s *stranger, of ...T) T { return of[s.next()%len(of)] }

func (s *stranger) group() string { return pick(s, "g", "h", "\xff\xfe", "") }

func (s *stranger) member() string {
	if n := s.next(); len(s.ids) > 0 && n%4 != 0 {
		return s.ids[n%len(s.ids)]
	}
	return pick(s, "", "nobody")
}

func (s *stranger) instance() *string {
	return pick(s, nil, nil, new(string), ptr("i"), ptr("j"))
}

func ptr[T any](v T) *T { return &v }

func (s *stranger) millis() int32 {
	return pick[int32](s, 10_000, 0, -1, math.MaxInt32, math.MinInt32, 6_000, 60_000)
}

func (s *stranger) number() int32 { return pick[int32](s, 1, 0, 2, -1, 3, math.MaxInt32) }

// request is one of any kind, in a version that it may have.
func (s *stranger) request() kmsg.Request {
	switch s.next() % 9 {
	default:
		r := kmsg.NewPtrJoinGroupRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID = pick[int16](s, 9, 3, 0, 5), s.group(), s.member(), s.instance()
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = pick[int32](s, 10_000, 6_000, s.millis()), s.millis(), pick(s, "consumer", "consumer", "connect", "")
		for range pick(s, 1, 2, 0) {
			r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: pick(s, "range", "rr", ""), Metadata: pick(s, nil, subscriptionTo([]string{"t"}), []byte{0, 0, 255, 255, 255, 255})})
		}
		return r
	case 1:
		r := kmsg.NewPtrSyncGroupRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID, r.Generation = pick[int16](s, 3, 5), s.group(), s.member(), s.instance(), s.number()
		r.ProtocolType, r.Protocol = pick(s, ptr("consumer"), nil), pick(s, ptr("range"), nil)
		for range pick(s, 2, 0, 1) {
			r.GroupAssignment = append(r.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: s.member(), MemberAssignment: []byte{1}})
		}
		return r
	case 2:
		r := kmsg.NewPtrHeartbeatRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID, r.Generation = 4, s.group(), s.member(), s.instance(), s.number()
		return r
	case 3:
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Version, r.Group, r.MemberID = pick[int16](s, 5, 1), s.group(), s.member()
		for range pick(s, 1, 2, 0) {
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: s.member(), InstanceID: s.instance()})
		}
		return r
	case 4:
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID, r.Generation = pick[int16](s, 9, 2, 10), s.group(), s.member(), s.instance(), s.number()
		r.RetentionTimeMillis = pick[int64](s, -1, 0, math.MinInt64, math.MaxInt64, 1)
		for range pick(s, 1, 2, 0) {
			r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{Topic: pick(s, "t", "u", ""), TopicID: topicID(byte(s.next() % 3)),
				Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: s.number(), Offset: int64(s.millis())}, {Partition: s.number()}}})
		}
		return r
	case 5:
		r := kmsg.NewPtrOffsetFetchRequest()
		r.Version, r.Group = pick[int16](s, 9, 1, 7, 10), s.group()
		if s.next()%2 == 0 {
			r.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 0, s.number()}}}
		}
		r.Groups = []kmsg.OffsetFetchRequestGroup{{Group: s.group()}, {Group: s.group(), Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{s.number()}}, {}}}}
		return r
	case 6:
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = 2, []string{s.group(), s.group()}
		return r
	case 7:
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group, r.Topics = s.group(), []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}, {}, {Partition: s.number()}}}, {Topic: "t"}}
		return r
	case 8:
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Version, r.Groups = 6, []string{s.group(), s.group()}
		return r
	}
}

func (s *stranger) ask(req kmsg.Request) {
	s.open++
	answered := false
	s.bench.c.Submit(protocol.Client{ID: pick(s, "c", "")}, req, func(resp kmsg.Response) {
		if answered {
			s.t.Fatalf("%T is answered twice", req)
		}
		answered = true
		s.open--
		resp.AppendTo(nil) // can be encoded
		if j, ok := resp.(*kmsg.JoinGroupResponse); ok && j.MemberID != "" && len(s.ids) < 32 {
			s.ids = append(s.ids, j.MemberID)
		}
	})
}

// FuzzStrangers lets clients do what they like: nothing panics, no deadline stands still, what the log says is what is there, and in the end everybody has been answered.
func FuzzStrangers(f *testing.F) {
	f.Add([]byte("join sync leave, in no order that makes sense to anybody; and once more"))
	f.Add([]byte{0, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench(t, Settings{InitialRebalanceDelay: time.Second, MinSession: 6 * time.Second, MaxSession: 30 * time.Minute, MaxSize: 3, MaxMetadata: 10, Retention: time.Hour, RetentionCheck: 10 * time.Minute})
		b.topics.ids["t"] = topicID(1)
		s := &stranger{t: t, bench: b, in: in}
		for len(s.in) > 0 {
			switch s.next() % 12 {
			case 0:
				b.advance(pick(s, time.Second, time.Millisecond, time.Minute, time.Hour))
			case 1:
				b.failing = pick[error](s, nil, kerr.CoordinatorNotAvailable, kerr.NotCoordinator)
			case 2:
				b.hold = !b.hold
				if !b.hold {
					b.commit()
				}
			case 3:
				b.load()
			default:
				s.ask(s.request())
			}
		}
		b.failing, b.hold = nil, false
		b.commit()
		b.checkReplay()
		b.advance(time.Duration(math.MaxInt32)*time.Millisecond + time.Hour) // the longest rebalance timeout there is
		b.shard.Close(kerr.NotCoordinator)
		if s.open != 0 {
			t.Fatalf("%d requests were never answered", s.open)
		}
	})
}
