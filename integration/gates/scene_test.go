//go:build gates

package gates

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scene is a node with topics and a group of one member, and a connection to it.
type scene struct {
	conn       *conn
	member     string
	generation int32
}

// set makes the scene on the node at address.
func set(t *testing.T, address string) *scene {
	t.Helper()
	s := &scene{conn: dial(t, address)}
	for name, partitions := range map[string]int32{"one": 1, "eight": 8, "small": 1, "large": 1, "empty": 1} {
		s.must(t, create(name, partitions), func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode })
	}
	for _, name := range manyTopics() {
		s.must(t, create(name, 1), func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode })
	}
	for range 2 {
		s.must(t, produce("small", records(1000), 1), produced)
		s.must(t, produce("large", records(128<<10), 1), produced)
	}
	s.join(t)
	return s
}

// must repeats a request while its answer says that this will help.
func (s *scene) must(t *testing.T, req kmsg.Request, check func(kmsg.Response) int16) kmsg.Response {
	t.Helper()
	for {
		resp, err := s.conn.ask(req)
		if err == nil {
			err = kerr.ErrorForCode(check(resp))
		}
		switch {
		case err == nil:
			return resp
		case kerr.IsRetriable(err) && t.Context().Err() == nil:
		default:
			t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
		}
	}
}

func (s *scene) join(t *testing.T) {
	t.Helper()
	s.must(t, finding(s, 0), func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode })
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 3, group, "consumer", 300_000, 300_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	joined := s.must(t, join, func(r kmsg.Response) int16 { return r.(*kmsg.JoinGroupResponse).ErrorCode }).(*kmsg.JoinGroupResponse)
	s.member, s.generation = joined.MemberID, joined.Generation
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, group, s.member, s.generation
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: s.member}}
	s.must(t, sync, func(r kmsg.Response) int16 { return r.(*kmsg.SyncGroupResponse).ErrorCode })
}
