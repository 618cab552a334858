package handlers

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/server"
)

// The walkers below answer calls that carry many topics or partitions. Whatever goes wrong with one of them is an error of that one: its answer is made by fail, in one place per key,
// and the others go on.

// walk answers the partitions of one topic in order: allowed, then known, then led by this broker, then whatever call finds.
// Whether a topic exists is told only to those who may know.
func walk[In, Out any](h *Handlers, topic *image.Topic, allowed bool, in []In, index func(*In) int32,
	call func(*In, *image.Topic, Partition) (Out, error), fail func(*In, error) Out) []Out {
	out := make([]Out, 0, len(in))
	for i := range in {
		p, err := h.leader(topic, allowed, index(&in[i]))
		var answer Out
		if err == nil {
			answer, err = call(&in[i], topic, p)
		}
		if err != nil {
			answer = fail(&in[i], err)
		}
		out = append(out, answer)
	}
	return out
}

// leader resolves one partition for a caller who may, or may not, know about its topic. topic is nil if there is none of the name asked for.
func (h *Handlers) leader(topic *image.Topic, allowed bool, partition int32) (Partition, error) {
	switch {
	case !allowed:
		return nil, kerr.TopicAuthorizationFailed
	case topic == nil || partition < 0 || int(partition) >= len(topic.Partitions):
		return nil, kerr.UnknownTopicOrPartition
	}
	return h.Partitions.Leader(topic.ID, partition)
}

// split takes out what check refuses, answered by fail, and leaves the rest for somebody else to answer. rest is in itself if nothing is refused, else a copy.
func split[In, Out any](in []In, check func(*In) error, fail func(*In, error) Out) (rest []In, failed []Out) {
	for i := range in {
		err := check(&in[i])
		switch {
		case err == nil && failed != nil:
			rest = append(rest, in[i])
		case err != nil:
			if failed == nil {
				rest = append(in[:0:0], in[:i]...)
			}
			failed = append(failed, fail(&in[i], err))
		}
	}
	if failed == nil {
		return in, nil
	}
	return rest, failed
}

// failAll answers everything with one error.
func failAll[In, Out any](in []In, err error, fail func(*In, error) Out) []Out {
	out := make([]Out, 0, len(in))
	for i := range in {
		out = append(out, fail(&in[i], err))
	}
	return out
}

// repeated tells, for each key, whether it comes more than once.
func repeated[In any, K comparable](in []In, key func(*In) K) map[K]bool {
	seen := make(map[K]bool, len(in))
	for i := range in {
		k := key(&in[i])
		_, again := seen[k]
		seen[k] = again
	}
	return seen
}

// isReplica tells whether a call may come from the replica that it says, if it says one: a node may pass for itself, and nobody else for any. (What it reads is what a consumer reads:
// there is no replication from this broker yet.)
func isReplica(c *server.Call, id protocol.BrokerID) bool {
	n, proved := c.Conn.Peer()
	return id < 0 || proved && n.ID == id
}

// checkReplica refuses requests that only another broker may send.
func checkReplica(c *server.Call, id int32) error {
	if !isReplica(c, protocol.BrokerID(id)) {
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}

// checkEpoch is KIP-320's: a client that knows an older leader epoch must refresh its metadata, one that knows a newer one must wait for this broker.
func checkEpoch(current int32, now protocol.LeaderEpoch) error {
	switch epoch := protocol.LeaderEpoch(current); {
	case epoch == protocol.NoLeaderEpoch || epoch == now:
		return nil
	case epoch < now:
		return kerr.FencedLeaderEpoch
	default:
		return kerr.UnknownLeaderEpoch
	}
}
