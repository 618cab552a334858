package handlers

import (
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// Handlers answers calls. It is the server's Dispatcher.
type Handlers struct {
	Options
	index  index
	nodes  []row // of the keys from peer.FirstKey on, by key
	limits atomic.Pointer[limits]
}

// New plugs the broker's parts together.
func New(o Options) *Handlers {
	return &Handlers{Options: o, index: newIndex(served(append(table(), kafkasNodeTable()...), &o)), nodes: served(nodeTable(), &o)}
}

// Dispatch answers c or parks it. A key or version that is not served closes the connection, as in Apache Kafka: the client did not ask ApiVersions first, or
// does not speak the protocol. Only ApiVersions and Hello answer whatever version they are asked in: they are how versions are learnt.
func (h *Handlers) Dispatch(c *server.Call) {
	r := h.row(c.Key)
	inScope := r != nil && (r.scope == everywhere || r.scope&h.scopeOf(c) != 0)
	switch {
	case c.Conn.OnProbation() && c.Key != peer.KeyHello:
		c.Close(fmt.Errorf("api key %d on a connection that is one too many", c.Key))
	case r == nil || !inScope && r.refuse == nil:
		c.Close(fmt.Errorf("api key %d is not served here", c.Key))
	case (c.Version < r.min || c.Version > r.max) && c.Key != keyAPIVersions && c.Key != peer.KeyHello:
		c.Close(fmt.Errorf("%s version %d is not served", kmsg.NameForKey(c.Key), c.Version))
	case !inScope:
		r.refuse(c)
	default:
		r.handle(h, r, c)
	}
}

// row is nil for a key that is not served.
func (h *Handlers) row(key int16) *row {
	if i := int(key) - int(peer.FirstKey); i >= 0 && i < len(h.nodes) {
		return &h.nodes[i]
	}
	return h.index.row(key)
}

func (h *Handlers) scopeOf(c *server.Call) scope {
	if _, proved := c.Conn.Peer(); proved {
		return onPeers
	}
	if h.NodeListener != "" && c.Conn.Listener() == h.NodeListener {
		return onNodes
	}
	return onClients
}

// request is one call on its way through a handler of kmsg's types.
type request struct {
	*Handlers
	call *server.Call
	row  *row
}

func (r *request) version() int16                { return r.call.Version }
func (r *request) principal() protocol.Principal { return r.call.Conn.Principal() }

func (r *request) mayTopic(op protocol.Operation, name string) bool {
	return r.allowed(&r.row.access, r.principal(), op, protocol.Resource{Type: protocol.ResourceTopic, Name: name})
}

func (r *request) mayGroup(op protocol.Operation, name string) bool {
	return r.allowed(&r.row.access, r.principal(), op, protocol.Resource{Type: protocol.ResourceGroup, Name: name})
}

func (r *request) mayCluster(op protocol.Operation) bool {
	return r.allowed(&r.row.access, r.principal(), op, protocol.Cluster)
}

func (r *request) mayTransact(op protocol.Operation, id string) bool {
	return r.allowed(&r.row.access, r.principal(), op, protocol.Resource{Type: protocol.ResourceTransactionalID, Name: id})
}

// code is err's code on the wire, counted as the reply's error by the metrics.
func (r *request) code(err error) int16 {
	code := protocol.ErrorCode(err)
	r.call.Reply.SetError(code)
	return code
}

// fill writes resp as the body of c's reply.
func fill(c *server.Call, resp kmsg.Response) {
	resp.SetVersion(c.Version)
	c.Reply.SetFlexible(wire.FlexibleResponse(c.Key, c.Version))
	c.Reply.SetBuf(resp.AppendTo(c.Reply.Buf()))
}
