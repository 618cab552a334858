package group

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log"
	"ottla/log/batch"
	"ottla/protocol"
	"ottla/protocol/config"
)

// sliceLog is a partition of __consumer_offsets in a slice of batches; all is committed at once.
type sliceLog struct {
	mu      sync.Mutex
	batches [][]byte
	end     protocol.Offset
}

func (l *sliceLog) Append(records []byte) (protocol.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := slices.Clone(records)
	batch.Place(b, l.end, 1)
	var h batch.Header
	if err := batch.ParseHeader(b, &h); err != nil {
		return 0, err
	}
	l.batches = append(l.batches, b)
	l.end = h.NextOffset()
	return h.BaseOffset, nil
}

func (l *sliceLog) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		var h batch.Header
		if err := batch.ParseHeader(b, &h); err != nil {
			return nil, err
		}
		if h.NextOffset() > from {
			return append(buf[:0], b...), nil
		}
	}
	return nil, nil
}

func (l *sliceLog) Offsets() (log.Offsets, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return log.Offsets{HighWatermark: l.end, LastStable: l.end, LogEnd: l.end}, nil
}

func (l *sliceLog) Await(_ protocol.Offset, wake func()) { wake() }

// fivePartitions are topics where __consumer_offsets has five partitions.
type fivePartitions struct{ *fakeTopics }

func (fivePartitions) GroupPartitions() int32 { return 5 }

// cluster is a coordinator on the real runtime that leads the first n of five partitions.
func cluster(t *testing.T, n int) (c *Coordinator, ask func(kmsg.Request, int16) kmsg.Response) {
	c = New(Options{Settings: SettingsOf(config.Values{}), Topics: fivePartitions{newFakeTopics()}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for shard := range n {
		c.Lead(int32(shard), 1, &sliceLog{})
	}
	synctest.Wait() // loaded
	return c, func(req kmsg.Request, version int16) kmsg.Response {
		t.Helper()
		req.SetVersion(version)
		answers := make(chan kmsg.Response, 1)
		c.Submit(protocol.Client{ID: "client", Host: "/127.0.0.1"}, req, func(resp kmsg.Response) { answers <- resp })
		return <-answers
	}
}

func stop(t *testing.T, c *Coordinator) {
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsForGroupsOfManyShardsAreOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := cluster(t, 4) // one is led by somebody else
		defer stop(t, c)
		var groups []string
		for n := range 20 {
			group := fmt.Sprint("group", n)
			groups = append(groups, group)
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group = group
			req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: int64(n)}}}}
			want := int16(0)
			if protocol.Shard(group, 5) == 4 {
				want = kerr.NotCoordinator.Code
			}
			if got := ask(req, 9).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; got != want {
				t.Fatalf("commit of %s: %v", group, kerr.ErrorForCode(got))
			}
		}
		fetch := kmsg.NewPtrOffsetFetchRequest()
		describe := kmsg.NewPtrDescribeGroupsRequest()
		remove := kmsg.NewPtrDeleteGroupsRequest()
		describe.Groups, remove.Groups = groups, groups
		for _, g := range groups {
			fetch.Groups = append(fetch.Groups, kmsg.OffsetFetchRequestGroup{Group: g})
		}
		fetched := ask(fetch, 8).(*kmsg.OffsetFetchResponse).Groups
		described := ask(describe, 6).(*kmsg.DescribeGroupsResponse).Groups
		listed := ask(kmsg.NewPtrListGroupsRequest(), 5).(*kmsg.ListGroupsResponse).Groups
		removed := ask(remove, 2).(*kmsg.DeleteGroupsResponse).Groups
		led := 0
		for n, g := range groups {
			want := int16(0)
			if protocol.Shard(g, 5) == 4 {
				want = kerr.NotCoordinator.Code
			} else if led++; fetched[n].Topics[0].Partitions[0].Offset != int64(n) {
				t.Errorf("%s: %+v", g, fetched[n])
			}
			if fetched[n].Group != g || described[n].Group != g || removed[n].Group != g {
				t.Errorf("answers are not in the order of the questions: %s", g)
			}
			for _, got := range []int16{fetched[n].ErrorCode, described[n].ErrorCode, removed[n].ErrorCode} {
				if got != want {
					t.Errorf("%s: %v", g, kerr.ErrorForCode(got))
				}
			}
		}
		if len(listed) != led || led == len(groups) {
			t.Errorf("%d groups of %d are led here, %d are listed", led, len(groups), len(listed))
		}
	})
}

// TestFiveHundredMembersSettle lets a group of 500 form, and then one leave: the others learn of it by their heartbeats, every 3 s as clients do.
func TestFiveHundredMembersSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := cluster(t, 5)
		defer stop(t, c)
		const size = 500
		join := func(id string, done func(*kmsg.JoinGroupResponse)) {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Version, req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 3, "large", id, "consumer", 45_000, 300_000
			req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscriptionTo([]string{"t"})}}
			c.Submit(protocol.Client{ID: "c"}, req, func(resp kmsg.Response) { done(resp.(*kmsg.JoinGroupResponse)) })
		}
		// settle lets members join, and sync as soon as they have: the leader is who is told members.
		settle := func(ids []string) (joined []string, generation int32) {
			var mu sync.Mutex
			assigned := make(chan string, size)
			for _, id := range ids {
				join(id, func(r *kmsg.JoinGroupResponse) {
					mu.Lock()
					defer mu.Unlock()
					generation = r.Generation
					req := kmsg.NewPtrSyncGroupRequest()
					req.Version, req.Group, req.MemberID, req.Generation = 3, "large", r.MemberID, r.Generation
					for _, m := range r.Members {
						req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: []byte(m.MemberID)})
					}
					c.Submit(protocol.Client{}, req, func(resp kmsg.Response) {
						if s := resp.(*kmsg.SyncGroupResponse); s.ErrorCode != 0 || string(s.MemberAssignment) != r.MemberID {
							t.Errorf("%s was assigned %q: %v", r.MemberID, s.MemberAssignment, kerr.ErrorForCode(s.ErrorCode))
						}
						assigned <- r.MemberID
					})
				})
			}
			for range ids {
				joined = append(joined, <-assigned)
			}
			return joined, generation
		}
		began := time.Now()
		ids, generation := settle(make([]string, size))
		if d := time.Since(began); d > 6*time.Second { // group.initial.rebalance.delay.ms, and once more as somebody came meanwhile
			t.Errorf("formed after %v", d)
		}
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.Members = "large", []kmsg.LeaveGroupRequestMember{{MemberID: ids[0]}}
		ask(leave, 3)
		began = time.Now()
		for _, id := range ids[1:] {
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Group, beat.MemberID, beat.Generation = "large", id, generation
			if got := ask(beat, 4).(*kmsg.HeartbeatResponse).ErrorCode; got != kerr.RebalanceInProgress.Code {
				t.Fatal(kerr.ErrorForCode(got))
			}
		}
		if _, next := settle(ids[1:]); next != generation+1 {
			t.Errorf("generation %d after %d", next, generation)
		}
		if d := time.Since(began); d > 0 {
			t.Errorf("nobody was awaited, and it took %v", d)
		}
	})
}

func TestLoadingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Settings: SettingsOf(config.Values{}), Topics: fivePartitions{newFakeTopics()}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		defer stop(t, c)
		held := &heldLog{release: make(chan struct{})}
		for shard := range int32(5) {
			c.Lead(shard, 1, held)
		}
		synctest.Wait()
		for _, q := range []struct {
			req  kmsg.Request
			want int16
		}{
			{&kmsg.HeartbeatRequest{Group: "g"}, 0},
			{&kmsg.SyncGroupRequest{Group: "g"}, kerr.RebalanceInProgress.Code},
			{&kmsg.ListGroupsRequest{}, kerr.CoordinatorLoadInProgress.Code},
			{&kmsg.OffsetDeleteRequest{Group: "g"}, kerr.CoordinatorLoadInProgress.Code},
			{&kmsg.LeaveGroupRequest{Group: "g"}, kerr.CoordinatorLoadInProgress.Code},
			{&kmsg.JoinGroupRequest{Group: "g", SessionTimeoutMillis: 10_000}, kerr.CoordinatorLoadInProgress.Code},
		} {
			c.Submit(protocol.Client{}, q.req, func(resp kmsg.Response) {
				if got := codeOf(resp); got != q.want {
					t.Errorf("%T: %v", q.req, kerr.ErrorForCode(got))
				}
			})
		}
		close(held.release)
	})
}

// heldLog cannot be read before it is released.
type heldLog struct {
	sliceLog
	release chan struct{}
}

func (l *heldLog) Read(from protocol.Offset, buf []byte) ([]byte, error) {
	<-l.release
	return l.sliceLog.Read(from, buf)
}

func (l *heldLog) Offsets() (log.Offsets, error) {
	return log.Offsets{HighWatermark: 1, LastStable: 1, LogEnd: 1}, nil
}

func codeOf(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.HeartbeatResponse:
		return r.ErrorCode
	case *kmsg.SyncGroupResponse:
		return r.ErrorCode
	case *kmsg.ListGroupsResponse:
		return r.ErrorCode
	case *kmsg.OffsetDeleteResponse:
		return r.ErrorCode
	case *kmsg.LeaveGroupResponse:
		return r.ErrorCode
	case *kmsg.JoinGroupResponse:
		return r.ErrorCode
	}
	panic(fmt.Sprintf("%T", resp))
}
