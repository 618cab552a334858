package sim

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// members is a committed configuration. The zero value is that of nobody.
type members struct {
	index            uint64 // of the entry that made it
	tracker          tracker.ProgressTracker
	voters, outgoing []uint64
	learners         []uint64
}

func (m members) String() string {
	return fmt.Sprintf("%x leaving %x, learners %x, since %d", m.voters, m.outgoing, m.learners, m.index)
}

// has tells whether a majority is on one side: of both configurations, in a joint one.
func (m *members) has(holds func(uint64) bool) bool {
	return majority(m.voters, holds) && (len(m.outgoing) == 0 || majority(m.outgoing, holds))
}

func majority(ids []uint64, holds func(uint64) bool) bool {
	n := 0
	for _, id := range ids {
		if holds(id) {
			n++
		}
	}
	return n > len(ids)/2
}

// after is the configuration that an entry makes of m.
func (m *members) after(e *pb.Entry) (next members, err error) {
	change := &pb.ConfChangeV2{}
	if e.GetType() == pb.EntryConfChange {
		simple := &pb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), simple); err != nil {
			return members{}, err
		}
		change = simple.AsV2()
	} else if err := proto.Unmarshal(e.GetData(), change); err != nil {
		return members{}, err
	}
	next = members{index: e.GetIndex(), tracker: m.tracker}
	if m.index == 0 {
		next.tracker = tracker.MakeProgressTracker(1, 0)
	}
	changer := confchange.Changer{Tracker: next.tracker, LastIndex: e.GetIndex()}
	var config tracker.Config
	var progress tracker.ProgressMap
	if autoLeave, joint := change.EnterJoint(); change.LeaveJoint() {
		config, progress, err = changer.LeaveJoint()
	} else if joint {
		config, progress, err = changer.EnterJoint(autoLeave, change.GetChanges()...)
	} else {
		config, progress, err = changer.Simple(change.GetChanges()...)
	}
	if err != nil {
		return members{}, err
	}
	next.tracker.Config, next.tracker.Progress = config, progress
	next.voters = sorted(config.Voters[0])
	next.outgoing = sorted(config.Voters[1])
	next.learners = sorted(config.Learners)
	return next, nil
}

func sorted(ids map[uint64]struct{}) []uint64 {
	out := make([]uint64, 0, len(ids))
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// membersChangeOneAtATime: from one configuration to the next there are never two majorities without a common voter, and voters are one, three or five.
func (j *judge) membersChangeOneAtATime(e *pb.Entry) {
	was := &j.members[len(j.members)-1]
	next, err := was.after(e)
	if err != nil {
		j.failf("MembersChangeOneAtATime: entry %d on %v: %w", e.GetIndex(), *was, err)
		return
	}
	j.s.say("members %v", next)
	j.votersAreReplacedNeverDropped(was, &next)
	j.members = append(j.members, next)
	switch {
	case len(next.outgoing) > 0:
		j.s.cover.Joints++
	case len(was.outgoing) == 0 && difference(was.voters, next.voters) > 1:
		j.failf("MembersChangeOneAtATime: from %v to %v without a joint configuration", *was, next)
	}
	if n := len(next.voters); n != 1 && n != 3 && n != 5 {
		j.failf("MembersChangeOneAtATime: %d voters: %v", n, next)
	}
}

// difference is how many ids are in one list only.
func difference(a, b []uint64) (n int) {
	for _, id := range a {
		if !slices.Contains(b, id) {
			n++
		}
	}
	for _, id := range b {
		if !slices.Contains(a, id) {
			n++
		}
	}
	return n
}
