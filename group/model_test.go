package group

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// TestRandomMembers lets members do anything at any time, while appends fail, the high watermark stands still and the coordinator is loaded anew. Whatever they do: nobody is
// left without an answer, no partition has two owners in a generation, an old generation does not commit, and what was acknowledged is there.
func TestRandomMembers(t *testing.T) {
	generations, commits := 0, int64(0)
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(t, seed)
			m.run(700)
			generations += int(m.newest)
			commits += m.acknowledged
		})
	}
	if generations < 300 || commits < 1000 {
		t.Errorf("%d generations were assigned and %d offsets committed: the members get nowhere", generations, commits)
	}
}

// model is the members of one group, and what they were told.
type model struct {
	t     *testing.T
	rand  *rand.Rand
	bench *bench

	members []*modelMember
	open    int // requests without an answer
	// owners are who was given a partition in a generation: a member's id, or the instance that may have changed its id.
	owners map[[2]int32]string
	// newest is the latest generation that anybody was given an assignment of.
	newest int32
	// commits counts up, so that a later one is larger; acknowledged is the last that was.
	commits, acknowledged int64
}

type modelMember struct {
	instance   *string
	id         string
	generation int32
	roster     []string // of the leader: the members that it was told
	// joined: it has to sync; synced: it has an assignment; waiting: requests without an answer.
	joined, synced bool
	waiting        int
}

const modelPartitions = 5

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rand: rand.New(rand.NewPCG(seed, 1)), owners: map[[2]int32]string{}}
	m.bench = newBench(t, Settings{InitialRebalanceDelay: time.Duration(seed%3) * time.Second, MinSession: time.Second, MaxSession: time.Hour, MaxSize: 3 + int(seed%5),
		MaxMetadata: 10, Retention: time.Hour, RetentionCheck: time.Minute})
	for n := range 6 {
		member := &modelMember{generation: -1}
		if n < 3 {
			instance := fmt.Sprint("instance", n/2) // two of them fight for one
			member.instance = &instance
		}
		m.members = append(m.members, member)
	}
	return m
}

func (m *model) run(steps int) {
	for range steps {
		m.step(m.members[m.rand.IntN(len(m.members))])
		m.bench.checkReplay()
		m.checkCommits()
	}
	m.bench.failing = nil
	m.bench.commit()
	m.bench.checkReplay()
	m.checkCommits()
	m.bench.shard.Close(kerr.NotCoordinator)
	if m.open != 0 {
		m.t.Fatalf("%d requests were never answered", m.open)
	}
}

func (m *model) step(one *modelMember) {
	if m.rand.IntN(3) > 0 { // what a client would do
		switch {
		case one.waiting > 0:
			m.bench.advance(time.Duration(m.rand.IntN(300)) * time.Millisecond)
		case one.joined:
			m.sync(one)
		case one.synced && m.rand.IntN(2) == 0:
			m.commit(one)
		case one.synced:
			m.heartbeat(one)
		default:
			m.join(one)
		}
		return
	}
	switch n := m.rand.IntN(100); {
	case n < 35:
		m.join(one)
	case n < 60:
		m.sync(one)
	case n < 70:
		m.heartbeat(one)
	case n < 80:
		m.commit(one)
	case n < 84:
		m.leave(one)
	case n < 93:
		m.bench.advance(time.Duration(m.rand.IntN(4000)) * time.Millisecond)
	case n < 94:
		m.bench.hold = true
	case n < 97:
		m.bench.hold = false
		m.bench.commit()
	case n < 98:
		m.bench.failing = kerr.CoordinatorNotAvailable
	case n < 99:
		m.bench.failing = nil
	default:
		m.bench.load()
	}
}

func (m *model) submit(req kmsg.Request, done func(kmsg.Response)) {
	m.open++
	answered := false
	m.bench.c.Submit(protocol.Client{ID: "c", Host: "/h"}, req, func(resp kmsg.Response) {
		if answered {
			m.t.Fatalf("%T was answered twice", req)
		}
		answered = true
		m.open--
		done(resp)
	})
}

func (m *model) join(one *modelMember) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version = int16(3 + m.rand.IntN(7))
	req.Group, req.MemberID, req.ProtocolType = "g", one.id, "consumer"
	if req.Version >= 5 {
		req.InstanceID = one.instance
	}
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 6000, 8000
	all := []string{"range", "sticky", "mine"}
	for _, name := range all[:1+m.rand.IntN(3)] {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name})
	}
	one.joined, one.synced = false, false
	one.waiting++
	m.submit(req, func(resp kmsg.Response) {
		r := resp.(*kmsg.JoinGroupResponse)
		one.waiting--
		one.joined = r.ErrorCode == 0
		switch r.ErrorCode {
		case 0:
			one.id, one.generation, one.roster = r.MemberID, r.Generation, nil
			if r.LeaderID == r.MemberID && !r.SkipAssignment {
				for _, o := range r.Members {
					one.roster = append(one.roster, o.MemberID)
				}
			}
		case kerr.MemberIDRequired.Code:
			one.id = r.MemberID
		case kerr.UnknownMemberID.Code, kerr.FencedInstanceID.Code:
			if one.id == req.MemberID {
				one.id = ""
			}
		}
	})
}

func (m *model) sync(one *modelMember) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, "g", one.id, one.generation
	for p := range byte(modelPartitions) {
		if len(one.roster) > 0 {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: one.roster[int(p)%len(one.roster)]})
		}
	}
	for n := range req.GroupAssignment {
		for p := range byte(modelPartitions) { // all of a member's partitions, in every entry of it
			if one.roster[int(p)%len(one.roster)] == req.GroupAssignment[n].MemberID {
				req.GroupAssignment[n].MemberAssignment = append(req.GroupAssignment[n].MemberAssignment, p)
			}
		}
	}
	owner := one.id
	if one.instance != nil {
		owner = *one.instance
	}
	one.joined = false
	one.waiting++
	m.submit(req, func(resp kmsg.Response) {
		r := resp.(*kmsg.SyncGroupResponse)
		one.waiting--
		one.synced = r.ErrorCode == 0
		if r.ErrorCode != 0 {
			return
		}
		m.newest = max(m.newest, req.Generation)
		for _, p := range r.MemberAssignment {
			at := [2]int32{req.Generation, int32(p)}
			if other, ok := m.owners[at]; ok && other != owner {
				m.t.Fatalf("partition %d belongs to %s and to %s in generation %d", p, other, owner, req.Generation)
			}
			m.owners[at] = owner
		}
	})
}

func (m *model) heartbeat(one *modelMember) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, "g", one.id, one.generation
	m.submit(req, func(resp kmsg.Response) { one.synced = one.synced && resp.(*kmsg.HeartbeatResponse).ErrorCode == 0 })
}

func (m *model) leave(one *modelMember) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 5, "g"
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: one.id}}
	one.id = ""
	m.submit(req, func(kmsg.Response) {})
}

func (m *model) commit(one *modelMember) {
	m.commits++
	value := m.commits
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 8, "g", one.id, one.generation
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: value}}}}
	newest := m.newest // of when it was sent: a later one may be there when the answer comes
	m.submit(req, func(resp kmsg.Response) {
		if resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode != 0 {
			one.synced = false
			return
		}
		if req.Generation >= 0 && req.Generation < newest {
			m.t.Fatalf("generation %d committed while %d had assignments", req.Generation, newest)
		}
		m.acknowledged = value
	})
}

// checkCommits reads what was acknowledged.
func (m *model) checkCommits() {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, "g"
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	m.submit(req, func(resp kmsg.Response) {
		if at := resp.(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0].Offset; at < m.acknowledged && m.acknowledged > 0 || at > m.commits {
			m.t.Fatalf("offset %d is there, %d was acknowledged", at, m.acknowledged)
		}
	})
}
