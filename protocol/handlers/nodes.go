package handlers

import (
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// Nodes is what a node answers the others of its cluster with. Secret, Identity and Forwarder are needed.
type Nodes struct {
	Secret peer.Secret
	// Identity is what this node tells of itself now.
	Identity  func() peer.Identity
	Forwarder Forwarder
	// Raft takes the body of one KeyRaft call, which is valid until it returns; it must not block. An error closes the connection. Nil: this node has no part in a quorum.
	Raft func(from protocol.Node, body []byte) error
	// Joiner nil: this node gives no node ids.
	Joiner Joiner
}

// Forwarder decides, on the leader of the metadata quorum, what another node was asked. It never passes the request on: a node that does not lead gives NOT_CONTROLLER.
type Forwarder interface {
	// Forward decides req and calls done once, from any goroutine, when the decision is committed and applied here or has failed. at is the offset of an image that has it.
	Forward(p protocol.Principal, req kmsg.Request, done func(resp kmsg.Response, at protocol.Offset, err error))
}

// Joiner gives node ids.
type Joiner interface {
	// Join gives n, which has n.ID or wants any (-1), its node id, and calls done once, from any goroutine. at is the address at which n has found this node. Errors: NOT_CONTROLLER, then
	// with the nodes that are known; DUPLICATE_BROKER_REGISTRATION if the id is another directory's.
	Join(n protocol.Node, at net.Addr, done func(peer.Joined, error))
}

// nodeTable is the keys of our own, in their order from peer.FirstKey on. They are answered to nobody but nodes of this cluster, and told to nobody: Hello tells their versions to nodes.
func nodeTable() []row {
	const proved = "a node of the cluster, which has proved it"
	return []row{
		direct(peer.KeyHello, ours(peer.KeyHello), everywhere, firstFrame, now, open("proves who calls"), (*Handlers).hello).when(hasNodes),
		direct(peer.KeyRaft, ours(peer.KeyRaft), onPeers, raftFrame, now, open(proved), (*Handlers).raft).when(hasNodes),
		direct(peer.KeyForward, ours(peer.KeyForward), onPeers, forwardFrame, later, open(proved), (*Handlers).forward).when(hasNodes),
		direct(peer.KeyJoin, ours(peer.KeyJoin), onPeers, joinFrame, later, open(proved), (*Handlers).join).when(hasNodes),
		direct(peer.KeyCommitted, ours(peer.KeyCommitted), onPeers, committedFrame, later, open(proved), (*Handlers).committed).when(hasNodes),
	}
}

// kafkasNodeTable is the keys that Apache Kafka's nodes use among themselves. They stand in ApiVersions' answers to nodes only.
func kafkasNodeTable() []row {
	return []row{
		api(upTo(0, 1), onPeers, firstFrame, now, open("a node of the cluster, which has proved it"), fetchSnapshot).when(hasMetadata),
		fromNodes(upTo(0, 4), brokerRegistration).when(hasNodes),
		fromNodes(upTo(0, 2), brokerHeartbeat).when(hasNodes),
		fromNodes(upTo(0, 0), allocateProducerIDs).when(hasNodes),
		fromNodes(upTo(0, 0), controllerRegistration).when(hasNodes),
	}
}

func ours(key int16) versions {
	v := peer.Versions()[key-peer.FirstKey]
	return upTo(v.Min, v.Max)
}

// MaxPeerFrame is MaxFrame for connections of nodes.
func MaxPeerFrame(data int) func(key int16) int {
	x, clients, nodes := newIndex(kafkasNodeTable()), MaxFrame(data), nodeTable()
	return func(key int16) int {
		if i := int(key) - int(peer.FirstKey); i >= 0 && i < len(nodes) {
			return frameSizes[nodes[i].frame]
		}
		if r := x.row(key); r != nil {
			return frameSizes[r.frame]
		}
		return clients(key)
	}
}

// fromNodes makes the row of one of Kafka's own calls between nodes. It is decided where it arrives; id is the node that it is about, which must be the one that sends it. All others get
// CLUSTER_AUTHORIZATION_FAILED, as from Apache Kafka.
func fromNodes[T any, P interface {
	*T
	kmsg.Request
}, R kmsg.Response](v versions, of func() (id func(P) int32, code func(R) *int16)) row {
	id, code := of()
	r := api(v, onPeers, adminFrame, later, open("a node of the cluster, for itself"), func(r *request, req P) kmsg.Response {
		fail := func(err error) kmsg.Response {
			resp := req.ResponseKind().(R)
			*code(resp) = r.code(err)
			return resp
		}
		if !r.isFrom(id(req)) {
			return fail(kerr.ClusterAuthorizationFailed)
		}
		return await(r, defaultTimeout, func(done func(kmsg.Response, error)) {
			r.Nodes.Forwarder.Forward(r.principal(), req, func(resp kmsg.Response, _ protocol.Offset, err error) { done(resp, err) })
		}, func(resp kmsg.Response, err error) kmsg.Response {
			if err != nil {
				return fail(err)
			}
			r.call.Reply.SetError(*code(resp.(R)))
			return resp
		})
	})
	r.refuse = func(c *server.Call) {
		resp := kmsg.ResponseForKey(c.Key).(R)
		*code(resp) = kerr.ClusterAuthorizationFailed.Code
		c.Reply.SetError(kerr.ClusterAuthorizationFailed.Code)
		fill(c, resp)
		c.Done()
	}
	return r
}

// isFrom tells whether the call came from the node of this id.
func (r *request) isFrom(id int32) bool {
	n, proved := r.call.Conn.Peer()
	return proved && id >= 0 && n.ID == protocol.BrokerID(id)
}

// subject is the node that a request of one node about itself is about; false if it is no such request.
func subject(req kmsg.Request) (id int32, ok bool) {
	switch req := req.(type) {
	case *kmsg.BrokerRegistrationRequest:
		return req.BrokerID, true
	case *kmsg.BrokerHeartbeatRequest:
		return req.BrokerID, true
	case *kmsg.AllocateProducerIDsRequest:
		return req.BrokerID, true
	case *kmsg.ControllerRegistrationRequest:
		return req.ControllerID, true
	}
	return 0, false
}

// replyRaw parks r's call until start's callback is called; the reply is what body makes of it.
func replyRaw[T any](r *request, timeout time.Duration, start func(done func(T, error)), body func(b []byte, v T, err error) []byte) {
	start(parkRaw(r, r.call.Received.Add(timeout), func(c *server.Call, v T, err error) {
		c.Reply.SetError(protocol.ErrorCode(err))
		c.Reply.SetBuf(body(c.Reply.Buf(), v, err))
	}).called)
}

// decodeForwarded reads a request out of a Forward. It keeps nothing of the frame.
func decodeForwarded(f *peer.Forward) (kmsg.Request, error) {
	req := kmsg.RequestForKey(f.Key)
	if req == nil {
		return nil, wire.ErrUnsupported
	}
	return req, wire.Decode(req, f.Version, append([]byte(nil), f.Body...))
}
