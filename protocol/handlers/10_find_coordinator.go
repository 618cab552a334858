package handlers

// FindCoordinator (key 10), versions 0 to 6: which broker coordinates a group.
//
//	v0  one group
//	v1  key type: 0 groups, 1 transactions, 2 share groups; throttle time, error message
//	v2  throttling after the response (KIP-219)
//	v3  flexible (KIP-482)
//	v4  many keys (KIP-699)
//	v5  TRANSACTION_ABORTABLE (KIP-890), which is never the answer here
//	v6  share groups (KIP-932)
//
// Describe on the group is needed. A group's coordinator leads the group's partition of __consumer_offsets, which is created when somebody first asks for it; COORDINATOR_NOT_AVAILABLE while that
// has no leader, or cannot be created.
// Not done: transactions and share groups are INVALID_REQUEST, as share groups are in an Apache Kafka without them: clients take it as final, where COORDINATOR_NOT_AVAILABLE would make them ask until
// their time-outs. Differs from Apache Kafka: the answer waits until the topic is there, where Kafka answers COORDINATOR_NOT_AVAILABLE and lets the client ask again.

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// The types of keys, and the first version that asks about many of them.
const (
	groupKey            = 0
	transactionKey      = 1
	shareKey            = 2
	manyCoordinators    = 4
	shareKeySince       = 6
	createTopicsTimeout = 10 * time.Second // clients wait 30 s
)

func findCoordinator(r *request, req *kmsg.FindCoordinatorRequest) kmsg.Response {
	f := &coordinatorSearch{request: r, of: req.CoordinatorType, keys: req.CoordinatorKeys}
	if r.version() < manyCoordinators {
		f.keys = []string{req.CoordinatorKey}
	}
	if f.wantsTopic() {
		return r.createTopic(offsetsTopic, createTopicsTimeout, f.answer)
	}
	return f.answer()
}

// coordinatorSearch is one request on its way.
type coordinatorSearch struct {
	*request
	of   int8
	keys []string
}

// wantsTopic tells whether the internal topic has to be created first: it is missing, and for somebody who may know about a group.
func (f *coordinatorSearch) wantsTopic() bool {
	if f.Controller.Image().Topic(offsetsTopic) != nil {
		return false
	}
	for _, key := range f.keys {
		if f.check(key) == nil {
			return true
		}
	}
	return false
}

// check is what is wrong with asking for key.
func (f *coordinatorSearch) check(key string) error {
	switch {
	case f.of == groupKey && !f.mayGroup(protocol.OpDescribe, key):
		return kerr.GroupAuthorizationFailed
	case f.of == groupKey:
		return nil
	case f.of == transactionKey && !f.mayTransact(protocol.OpDescribe, key):
		return kerr.TransactionalIDAuthorizationFailed
	case f.of == shareKey && f.version() >= shareKeySince && !f.mayCluster(protocol.OpClusterAction):
		return kerr.ClusterAuthorizationFailed
	}
	return kerr.InvalidRequest
}

func (f *coordinatorSearch) answer() kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	for _, key := range f.keys {
		resp.Coordinators = append(resp.Coordinators, f.find(key))
	}
	if f.version() < manyCoordinators {
		c := &resp.Coordinators[0]
		resp.ErrorCode, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.NodeID, c.Host, c.Port
		resp.ErrorMessage = protocol.ErrorMessage(kerr.ErrorForCode(c.ErrorCode))
		if c.ErrorCode == 0 {
			none := "NONE" // Kafka's name for it
			resp.ErrorMessage = &none
		}
	}
	return resp
}

func (f *coordinatorSearch) find(key string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port, c.ErrorMessage = key, int32(protocol.NoBroker), -1, new(string) // empty and not null, as Kafka sends it
	if err := f.check(key); err != nil {
		c.ErrorCode = f.code(err)
		if f.of < groupKey || f.of > shareKey {
			c.ErrorMessage = protocol.ErrorMessage(err)
		}
		return c
	}
	img := f.Controller.Image()
	t := img.Topic(offsetsTopic)
	if t == nil {
		c.ErrorCode = f.code(kerr.CoordinatorNotAvailable)
		return c
	}
	leader := img.Broker(t.Partitions[protocol.Shard(key, len(t.Partitions))].Leader)
	if leader == nil || leader.Fenced {
		c.ErrorCode = f.code(kerr.CoordinatorNotAvailable)
		return c
	}
	c.NodeID = int32(leader.ID)
	c.Host, c.Port = f.address(leader, f.call)
	return c
}
