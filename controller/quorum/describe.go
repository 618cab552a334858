package quorum

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
)

// describe is the quorum as its leader sees it, as the answer to DescribeQuorum (KIP-595, KIP-836, KIP-853) about the one partition that there is; who was asked has checked that it is
// the one that is meant. Learners are observers. A member whose node is not registered any more, as its disk was lost, has node id -1. What is not known is -1: where a member's log ends and
// when it was heard of, until that happens in this leadership. The leader's own times are the present, as from Apache Kafka; the others are wall-clock times made of ticks (Member).
func (q *Machine) describe() *kmsg.DescribeQuorumResponse {
	g := roster{Status: q.Status(), controllers: q.controllers()}
	resp := kmsg.NewPtrDescribeQuorumResponse()
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	resp.ErrorMessage, p.ErrorMessage = new(string), new(string) // empty and not null, as Kafka sends it
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = int32(q.o.NodeID), int32(g.Term), nextOffset(g.Commit)
	for _, m := range g.byNode() {
		c := g.registered(m.RaftID)
		if m.Role != Voter && !m.Leaving {
			p.Observers = append(p.Observers, g.replica(c, m, q.now))
			continue
		}
		p.CurrentVoters = append(p.CurrentVoters, g.replica(c, m, q.now))
		if c != nil {
			resp.Nodes = append(resp.Nodes, listeners(c))
		}
	}
	t := kmsg.NewDescribeQuorumResponseTopic()
	t.Topic, t.Partitions = protocol.MetadataTopic, append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return resp
}

// byNode is the members by node id, the unregistered ones last.
func (g *roster) byNode() []*Member {
	list := make([]*Member, 0, len(g.Members))
	for _, c := range g.controllers {
		if m := g.member(c.RaftID); m != nil {
			list = append(list, m)
		}
	}
	for n := range g.Members {
		if m := &g.Members[n]; g.registered(m.RaftID) == nil {
			list = append(list, m)
		}
	}
	return list
}

func (g *roster) replica(c *image.Controller, m *Member, now time.Time) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	r := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	r.ReplicaID, r.LogEndOffset = int32(protocol.NoBroker), int64(protocol.NoOffset)
	if c != nil {
		r.ReplicaID, r.ReplicaDirectoryID = int32(c.ID), c.Directory
	}
	switch {
	case m.RaftID == g.RaftID:
		r.LogEndOffset = nextOffset(g.LastIndex)
	case m.Heard:
		r.LogEndOffset = nextOffset(m.Match)
	}
	if m.Heard {
		r.LastFetchTimestamp = now.Add(-m.Silent).UnixMilli()
	}
	if m.Caught {
		r.LastCaughtUpTimestamp = now.Add(-m.Behind).UnixMilli()
	}
	return r
}

func listeners(c *image.Controller) kmsg.DescribeQuorumResponseNode {
	n := kmsg.NewDescribeQuorumResponseNode()
	n.NodeID = int32(c.ID)
	for _, e := range c.Endpoints {
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		l.Name, l.Host, l.Port = e.Listener, e.Host, uint16(e.Port)
		n.Listeners = append(n.Listeners, l)
	}
	return n
}

// nextOffset is Kafka's name for a place in the log: that of the first entry which is not there yet.
func nextOffset(index uint64) int64 { return int64(index) + 1 }
