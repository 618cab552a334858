package main

import (
	"context"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
	"ottla/protocol/handlers"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)

// lagOf makes a group without members that reads partitions of "t".
func lagOf(partitions ...kadm.GroupMemberLag) *kadm.DescribedGroupLag {
	l := &kadm.DescribedGroupLag{Group: "g", State: "Empty", Lag: kadm.GroupLag{"t": {}}}
	for i, p := range partitions {
		p.Topic, p.Partition = "t", int32(i)
		l.Lag["t"][p.Partition] = p
	}
	return l
}

func TestLagTable(t *testing.T) {
	behind := func(committed, end int64) kadm.GroupMemberLag {
		return kadm.GroupMemberLag{Commit: kadm.Offset{At: committed}, End: kadm.ListedOffset{Offset: end}, Lag: end - max(committed, 0)}
	}
	l := lagOf(behind(7, 7), behind(3, 9), behind(-1, 4), kadm.GroupMemberLag{Lag: -1, End: kadm.ListedOffset{Err: kerr.UnknownTopicOrPartition}, Commit: kadm.Offset{At: 5}})
	first := map[protocol.TopicPartition]time.Time{{Topic: "t", Partition: 1}: noon.Add(-90 * time.Second)}
	var got [][]any
	for _, p := range l.Lag.Sorted() {
		got = append(got, []any{p.Partition, lagSeconds(&p, first, noon)})
	}
	if want := [][]any{{int32(0), 0.0}, {int32(1), 90.0}, {int32(2), nil}, {int32(3), nil}}; !reflect.DeepEqual(got, want) {
		t.Errorf("seconds %v, want %v", got, want)
	}
	got = nil
	for _, row := range lagTable([]kadm.DescribedGroupLag{*l}, nil).rows {
		got = append(got, row[3:6])
	}
	if want := [][]any{{int64(7), int64(7), int64(0)}, {int64(3), int64(9), int64(6)}, {nil, int64(4), int64(4)}, {int64(5), nil, nil}}; !reflect.DeepEqual(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	s := newStory(l, first, noon)
	if s.Records != 10 || *s.Seconds != 90 || *s.Worst != (place{"t", 1, 6}) {
		t.Errorf("%+v", s)
	}
	ahead := map[protocol.TopicPartition]time.Time{{Topic: "t"}: noon.Add(time.Hour)}
	if got := lagSeconds(&kadm.GroupMemberLag{Topic: "t", Lag: 1}, ahead, noon); got != 0.0 {
		t.Errorf("a record from the future: %v seconds", got)
	}
}

func TestExplainInWords(t *testing.T) {
	instance, seconds := "i1", 75.0
	inside := func(change func(*handlers.GroupExplanation)) *handlers.GroupExplanation {
		e := &handlers.GroupExplanation{Group: "g", State: "Stable", Since: noon.Add(-time.Minute), Generation: 4,
			Members: []handlers.ExplainedMember{
				{ID: "m1", ClientID: "app", Host: "/10.0.0.1", Joined: noon.Add(-3 * time.Hour)},
				{ID: "m2", ClientID: "app", Host: "/10.0.0.2", InstanceID: &instance},
			},
			Rebalance: &handlers.ExplainedRebalance{Reason: "member m3 left", Began: noon.Add(-65 * time.Second), Ended: noon.Add(-time.Minute)}}
		change(e)
		return e
	}
	for name, c := range map[string]struct {
		story story
		want  string
	}{
		"stable": {story{Group: "g", State: "Stable", Members: 2, Inside: inside(func(*handlers.GroupExplanation) {})},
			`Group g is Stable since 2026-01-02 11:59:00 (1m0s ago), with 2 members. Every member has its partitions.

Its members, in generation 4:
  m1, client "app" at 10.0.0.1, a member since 2026-01-02 09:00:00 (3h0m ago)
  m2, client "app" at 10.0.0.2, instance "i1"

The last rebalance began at 2026-01-02 11:58:55 (1m5s ago) and took 5s, because: member m3 left.

It has read everything that it has offsets for.
`},
		"waiting": {story{Group: "g", State: "PreparingRebalance", Members: 2, Records: 1, Seconds: &seconds, Worst: &place{"t", 3, 1}, Inside: inside(func(e *handlers.GroupExplanation) {
			e.State, e.Members[1].Awaited = "PreparingRebalance", true
			e.Rebalance = &handlers.ExplainedRebalance{Reason: "member m1 joined", Began: noon.Add(-time.Minute), Deadline: noon.Add(4 * time.Minute)}
		})},
			`Group g is PreparingRebalance since 2026-01-02 11:59:00 (1m0s ago), with 2 members. Nobody reads until all of them have joined, or their time is up.

It waits for 1 of 2 members:
  m2, client "app" at 10.0.0.2, instance "i1"
Whoever has not come by 2026-01-02 12:04:00 (in 4m0s) is put out, but for who has an instance, who may come until its session is over.

It has been rebalancing since 2026-01-02 11:59:00 (1m0s ago), because: member m1 joined.

It is 1 record behind, 1m15s in time; furthest in t-3 with 1.
`},
		"beginning": {story{Group: "g", State: "PreparingRebalance", Members: 1, Inside: inside(func(e *handlers.GroupExplanation) {
			e.State, e.Members, e.Generation = "PreparingRebalance", e.Members[:1], 0
			e.Rebalance = &handlers.ExplainedRebalance{Reason: "m1 came", Began: noon.Add(-time.Minute), Deadline: noon.Add(2 * time.Second)}
		})},
			`Group g is PreparingRebalance since 2026-01-02 11:59:00 (1m0s ago), with 1 member. Nobody reads until all of them have joined, or their time is up.

Its members, in generation 0:
  m1, client "app" at 10.0.0.1, a member since 2026-01-02 09:00:00 (3h0m ago)
All have joined. Others may still come before it begins, at 2026-01-02 12:00:02 (in 2s) or a little later.

It has been rebalancing since 2026-01-02 11:59:00 (1m0s ago), because: m1 came.

It has read everything that it has offsets for.
`},
		// The last member went, and nobody had to be waited for: it took no time, and is over.
		"left": {story{Group: "g", State: "Empty", Inside: inside(func(e *handlers.GroupExplanation) {
			e.State, e.Members = "Empty", nil
			e.Rebalance = &handlers.ExplainedRebalance{Reason: "removing member m1 on heartbeat expiration.", Began: noon.Add(-time.Minute), Ended: noon.Add(-time.Minute)}
		})},
			`Group g is Empty since 2026-01-02 11:59:00 (1m0s ago), with 0 members. Nobody reads.

The last rebalance began at 2026-01-02 11:59:00 (1m0s ago) and took 0s, because: removing member m1 on heartbeat expiration.

It has read everything that it has offsets for.
`},
		"outside": {story{Group: "g", State: "Empty", Records: 5, Worst: &place{"t", 0, 5}},
			"Group g is Empty, with 0 members. Nobody reads.\n\nIt is 5 records behind; furthest in t-0 with 5.\n"},
	} {
		if got := c.story.words(noon); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, c.want)
		}
	}
}

func TestLength(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 1234 * time.Millisecond: "1.234s", 90*time.Second + 400*time.Millisecond: "1m30s", 26 * time.Hour: "26h0m", 50*time.Hour + time.Minute: "2d2h"} {
		if got := length(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// explainer knows one group.
type explainer struct{}

func (explainer) Explain(_ context.Context, group string) (handlers.GroupExplanation, error) {
	switch group {
	case "a/b&c":
		return handlers.GroupExplanation{Group: group, State: "Empty"}, nil
	case "elsewhere":
		return handlers.GroupExplanation{}, kerr.NotCoordinator
	}
	return handlers.GroupExplanation{}, kerr.GroupIDNotFound
}

func TestAskCoordinator(t *testing.T) {
	s := httptest.NewServer(handlers.ExplainGroups(explainer{}))
	address := s.Listener.Addr().String()
	if e, err := askCoordinator(t.Context(), address, "a/b&c"); err != nil || e.Group != "a/b&c" || e.State != "Empty" {
		t.Errorf("%+v, %v", e, err)
	}
	for group, want := range map[string]string{"elsewhere": "does not coordinate elsewhere", "gone": "404"} {
		if _, err := askCoordinator(t.Context(), address, group); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", group, err)
		}
	}
	s.Close()
	if _, err := askCoordinator(t.Context(), address, "g"); err == nil || !strings.Contains(err.Error(), "no node serves operators at "+address) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestResetTable(t *testing.T) {
	var before kadm.OffsetResponses
	before.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: "t", Partition: 1, At: 5}})
	after := kadm.Offsets{}
	after.Add(kadm.Offset{Topic: "t", Partition: 1, At: 0})
	after.Add(kadm.Offset{Topic: "t", Partition: 0, At: 9})
	if got, want := resetTable(before, after).rows, [][]any{{"t", int32(0), nil, int64(9)}, {"t", int32(1), int64(5), int64(0)}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
