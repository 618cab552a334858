package handlers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
	"ottla/protocol/peer"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// table is the only registry of the API keys that clients use (nodes.go has those of nodes). ApiVersions, dispatch, frame limits, metric labels and the README's table derive from it. A key that is not here, or that needs a
// part which this broker was made without, is not advertised, and a request for it closes the connection, as in Apache Kafka.
func table() []row {
	return []row{
		direct(0, versions{advertised: 0, min: minProduce, max: 13}, everywhere, dataFrame, later,
			asks(onTopic(protocol.OpWrite), onTransactionalID(protocol.OpWrite)), (*Handlers).produce),
		direct(1, versions{min: 4, max: 18, advertised: 4}, everywhere, metadataFrame, later,
			asks(onTopic(protocol.OpRead)), (*Handlers).fetch),
		api(upTo(1, 11), everywhere, metadataFrame, now, asks(onTopic(protocol.OpDescribe)), listOffsets),
		api(upTo(0, 13), everywhere, metadataFrame, later,
			asks(onTopic(protocol.OpDescribe), onTopic(protocol.OpCreate), onCluster(protocol.OpCreate), onCluster(protocol.OpDescribe)), metadata),
		api(upTo(2, 10), everywhere, metadataFrame, later, asks(onGroup(protocol.OpRead), onTopic(protocol.OpRead)), offsetCommit).when(hasGroups),
		api(upTo(1, 10), everywhere, adminFrame, later, asks(onGroup(protocol.OpDescribe), onTopic(protocol.OpDescribe)), offsetFetch).when(hasGroups),
		api(upTo(0, 6), everywhere, adminFrame, later,
			asks(onGroup(protocol.OpDescribe), onTransactionalID(protocol.OpDescribe), onCluster(protocol.OpClusterAction)), findCoordinator).when(hasGroups),
		api(upTo(0, 9), everywhere, metadataFrame, later, asks(onGroup(protocol.OpRead)), joinGroup).when(hasGroups),
		api(upTo(0, 4), everywhere, adminFrame, later, asks(onGroup(protocol.OpRead)), heartbeat).when(hasGroups),
		api(upTo(0, 5), everywhere, adminFrame, later, asks(onGroup(protocol.OpRead)), leaveGroup).when(hasGroups),
		api(upTo(0, 5), everywhere, metadataFrame, later, asks(onGroup(protocol.OpRead)), syncGroup).when(hasGroups),
		api(upTo(0, 6), everywhere, adminFrame, later, asks(onGroup(protocol.OpDescribe)), describeGroups).when(hasGroups),
		api(upTo(0, 5), everywhere, adminFrame, later, asks(onCluster(protocol.OpDescribe), onGroup(protocol.OpDescribe)), listGroups).when(hasGroups),
		direct(keyAPIVersions, upTo(0, 5), everywhere, firstFrame, now, open("asked before authentication"), (*Handlers).apiVersions),
		api(upTo(2, 7), everywhere, adminFrame, later,
			asks(onCluster(protocol.OpCreate), onTopic(protocol.OpCreate), onTopic(protocol.OpDescribeConfigs)), createTopics),
		api(upTo(1, 6), everywhere, adminFrame, later,
			asks(onCluster(protocol.OpDelete), onTopic(protocol.OpDelete), onTopic(protocol.OpDescribe)), deleteTopics),
		api(upTo(0, 2), everywhere, metadataFrame, now, asks(onTopic(protocol.OpDelete)), deleteRecords),
		api(upTo(0, 5), everywhere, adminFrame, later,
			asks(onCluster(protocol.OpIdempotentWrite), onTransactionalID(protocol.OpWrite)), initProducerID),
		api(upTo(2, 4), everywhere, metadataFrame, now, asks(onTopic(protocol.OpDescribe), onCluster(protocol.OpClusterAction)), offsetForLeaderEpoch),
		api(upTo(1, 4), everywhere, adminFrame, now,
			asks(onTopic(protocol.OpDescribeConfigs), onCluster(protocol.OpDescribeConfigs), onGroup(protocol.OpDescribeConfigs)), describeConfigs),
		api(upTo(0, 2), everywhere, adminFrame, later,
			asks(onTopic(protocol.OpAlterConfigs), onCluster(protocol.OpAlterConfigs), onGroup(protocol.OpAlterConfigs)), alterConfigs),
		api(upTo(1, 5), everywhere, adminFrame, now, asks(onCluster(protocol.OpDescribe)), describeLogDirs),
		api(upTo(0, 3), everywhere, adminFrame, later, asks(onTopic(protocol.OpAlter)), createPartitions),
		api(upTo(0, 3), everywhere, adminFrame, later, asks(onGroup(protocol.OpDelete)), deleteGroups).when(hasGroups),
		api(upTo(0, 1), everywhere, adminFrame, later,
			asks(onTopic(protocol.OpAlterConfigs), onCluster(protocol.OpAlterConfigs), onGroup(protocol.OpAlterConfigs)), incrementalAlterConfigs),
		api(upTo(0, 0), everywhere, adminFrame, later, asks(onGroup(protocol.OpDelete), onTopic(protocol.OpRead)), offsetDelete).when(hasGroups),
		api(upTo(0, 2), everywhere, firstFrame, later, asks(onCluster(protocol.OpDescribe)), describeQuorum),
		api(upTo(0, 2), everywhere, adminFrame, later, asks(onCluster(protocol.OpAlter)), updateFeatures),
		api(upTo(0, 2), everywhere, adminFrame, now, asks(onCluster(protocol.OpDescribe)), describeCluster),
		api(upTo(0, 0), everywhere, adminFrame, now, asks(onTopic(protocol.OpRead)), describeProducers),
		api(upTo(0, 0), everywhere, firstFrame, later, asks(onCluster(protocol.OpAlter)), unregisterBroker),
		api(upTo(0, 1), everywhere, adminFrame, now, asks(onCluster(protocol.OpDescribeConfigs)), listConfigResources),
		api(upTo(0, 0), everywhere, metadataFrame, now, asks(onTopic(protocol.OpDescribe)), describeTopicPartitions),
		api(upTo(0, 1), everywhere, firstFrame, later, asks(onCluster(protocol.OpAlter)), addRaftVoter),
		api(upTo(0, 0), everywhere, firstFrame, later, asks(onCluster(protocol.OpAlter)), removeRaftVoter),
		api(upTo(0, 0), everywhere, firstFrame, later, asks(onCluster(protocol.OpAlter)), unregisterController),
	}
}

// versions is the range that a key is served in, and the lowest that ApiVersions claims: Produce claims versions that it refuses, or old clients fall back to features of 2015.
type versions struct{ advertised, min, max int16 }

func upTo(min, max int16) versions { return versions{min, min, max} }

// scope is a set of kinds of listener.
type scope uint8

const (
	onClients scope = 1 << iota // listeners of everywhere, which nodes use as well where they speak Kafka's protocol
	onNodes                     // the listener of Options.NodeListener: calls from node to node
	onPeers                     // whatever the listener: connections of which a node of this cluster has proved that it is at the other end (10000_hello.go)

	everywhere = onClients | onNodes | onPeers
)

// order says when a key is answered.
type order uint8

const (
	// now is answered before the connection's next request is looked at.
	now order = iota
	// later may be parked: requests behind it on the same connection begin, their replies wait for its.
	later
)

// frame is the class of a key's largest request.
type frame uint8

const (
	firstFrame frame = iota
	adminFrame
	metadataFrame
	dataFrame
	raftFrame
	forwardFrame
	joinFrame
	committedFrame
)

var frameSizes = [...]int{
	firstFrame:     wire.MaxUnauthenticatedFrame,
	adminFrame:     wire.MaxAdminFrame,
	metadataFrame:  wire.MaxMetadataFrame,
	dataFrame:      wire.MaxDataFrame,
	raftFrame:      peer.MaxRaftFrame,
	forwardFrame:   peer.MaxForwardFrame,
	joinFrame:      peer.MaxJoinFrame,
	committedFrame: peer.MaxCommittedFrame,
}

// row is one API key.
type row struct {
	key int16
	versions
	scope  scope
	frame  frame
	order  order
	access access
	handle func(h *Handlers, r *row, c *server.Call)
	refuse func(c *server.Call) // answers a call from outside the scope; nil: the connection is closed
	needs  func(*Options) bool  // nil: always served
}

// when makes a row one that is served only by a broker with the parts that it needs.
func (r row) when(needs func(*Options) bool) row {
	r.needs = needs
	return r
}

func hasGroups(o *Options) bool { return o.Groups != nil }
func hasNodes(o *Options) bool  { return o.Nodes != nil }

// hasMetadata tells whether there is something for nodes to follow.
func hasMetadata(o *Options) bool { return o.Nodes != nil && o.Metadata != nil }

// served is the rows that a broker of these parts answers.
func served(rows []row, o *Options) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.needs != nil && !r.needs(o) })
}

// direct makes the row of a key that reads its body itself.
func direct(key int16, v versions, s scope, f frame, o order, a access, handle func(h *Handlers, r *row, c *server.Call)) row {
	if !a.declared() {
		panic(fmt.Sprintf("handlers: key %d asks for no authorisation and does not say why", key))
	}
	return row{key: key, versions: v, scope: s, frame: f, order: o, access: a, handle: handle}
}

// api makes the row of a key with a request of type T. The handler returns the response, or nil after it has parked the call.
func api[T any, P interface {
	*T
	kmsg.Request
}](v versions, s scope, f frame, o order, a access, handle func(*request, P) kmsg.Response) row {
	return direct(P(new(T)).Key(), v, s, f, o, a, func(h *Handlers, row *row, c *server.Call) {
		if err := c.AwaitRoom(); err != nil {
			c.Close(err)
			return
		}
		req := P(new(T))
		if err := wire.Decode(req, c.Version, c.Body); err != nil {
			c.Close(err)
			return
		}
		r := &request{Handlers: h, call: c, row: row}
		switch resp := handle(r, req); {
		case resp != nil:
			fill(c, resp)
			c.Done()
		case o == now:
			panic(fmt.Sprintf("handlers: key %d is answered at once, but was not", c.Key))
		}
	})
}

// index is the table by key.
type index []*row

func newIndex(rows []row) index {
	last := slices.MaxFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	x := make(index, last.key+1)
	for i := range rows {
		x[rows[i].key] = &rows[i]
	}
	return x
}

// row is nil for a key that is not served.
func (x index) row(key int16) *row {
	if key < 0 || int(key) >= len(x) {
		return nil
	}
	return x[key]
}

// MaxFrame returns the largest request per key, in bytes without the length, as the server asks for it. dataFrame bounds Produce (socket.request.max.bytes).
func MaxFrame(data int) func(key int16) int {
	x := newIndex(table())
	return func(key int16) int {
		switch r := x.row(key); {
		case r == nil:
			return wire.MaxUnauthenticatedFrame
		case r.frame == dataFrame:
			return data
		default:
			return min(frameSizes[r.frame], data)
		}
	}
}

// SupportTable is the README's table of API keys, in Markdown, for a broker of these parts.
func SupportTable(o Options) string {
	var b strings.Builder
	b.WriteString("| key | API | versions | authorised by | answered |\n|---|---|---|---|---|\n")
	for _, r := range served(table(), &o) {
		v := fmt.Sprintf("%d–%d", r.min, r.max)
		if r.min == r.max {
			v = fmt.Sprint(r.min)
		}
		if r.advertised != r.min {
			v += fmt.Sprintf(" (advertised from %d)", r.advertised)
		}
		answered := [...]string{now: "at once", later: "may wait"}[r.order]
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", r.key, kmsg.NameForKey(r.key), v, r.access, answered)
	}
	return b.String()
}

// String is the rules as the README shows them.
func (a access) String() string {
	if a.why != "" {
		return a.why
	}
	parts := make([]string, len(a.rules))
	for i, r := range a.rules {
		parts[i] = operationNames[r.op] + " " + resourceNames[r.on]
	}
	return strings.Join(parts, ", ")
}

var operationNames = map[protocol.Operation]string{
	protocol.OpRead: "Read", protocol.OpWrite: "Write", protocol.OpCreate: "Create", protocol.OpDelete: "Delete", protocol.OpAlter: "Alter", protocol.OpDescribe: "Describe",
	protocol.OpClusterAction: "ClusterAction", protocol.OpDescribeConfigs: "DescribeConfigs", protocol.OpAlterConfigs: "AlterConfigs", protocol.OpIdempotentWrite: "IdempotentWrite",
}

var resourceNames = map[protocol.ResourceType]string{
	protocol.ResourceTopic: "topic", protocol.ResourceGroup: "group", protocol.ResourceCluster: "cluster", protocol.ResourceTransactionalID: "transactional id",
}
