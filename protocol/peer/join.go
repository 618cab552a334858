package peer

import (
	"encoding/binary"

	"ottla/protocol"
)

const maxHost = 255

// Join asks a node of the cluster for a node id. The body of KeyJoin, version 0:
//
//	 0  node id     4  the one that is wanted; -1: the smallest that nobody has had
//	 4  directory  16  what the id will belong to
//	20  roles       1
type Join struct{ protocol.Node }

// Append appends the body of the call.
func (j *Join) Append(b []byte) []byte { return appendNode(b, j.Node) }

// ParseJoin reads the body of a call. ErrMalformed.
func ParseJoin(body []byte) (j Join, err error) {
	c := cursor{b: body}
	j.Node = c.node()
	return j, c.end("join")
}

// Joined is the reply to a Join:
//
//	0  error       2, string
//	   cluster id  string
//	   node id     4
//	   nodes       2 count, each: node id 4 · directory 16 · roles 1 · host string · port 2
type Joined struct {
	Err       error
	ClusterID string
	ID        protocol.BrokerID
	Nodes     []Endpoint
}

// Endpoint is where a node of the cluster is found by the others.
type Endpoint struct {
	protocol.Node
	Host string
	Port uint16
}

// Append appends the body of the reply: at most 65,535 nodes.
func (j *Joined) Append(b []byte) []byte {
	b = appendError(b, j.Err)
	b = appendString(b, j.ClusterID, maxClusterID)
	b = binary.BigEndian.AppendUint32(b, uint32(j.ID))
	nodes := j.Nodes[:min(len(j.Nodes), 1<<16-1)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(nodes)))
	for i := range nodes {
		b = appendNode(b, nodes[i].Node)
		b = appendString(b, nodes[i].Host, maxHost)
		b = binary.BigEndian.AppendUint16(b, nodes[i].Port)
	}
	return b
}

// ParseJoined reads the body of a reply. ErrMalformed.
func ParseJoined(body []byte) (j Joined, err error) {
	c := cursor{b: body}
	j.Err = c.err()
	j.ClusterID = c.string(maxClusterID)
	j.ID = protocol.BrokerID(c.uint32())
	n := int(c.uint16())
	if n > len(c.b)/(nodeSize+2+2) {
		c.bad = true
	}
	if n > 0 && !c.bad {
		j.Nodes = make([]Endpoint, 0, n)
	}
	for ; n > 0 && !c.bad; n-- {
		j.Nodes = append(j.Nodes, Endpoint{Node: c.node(), Host: c.string(maxHost), Port: c.uint16()})
	}
	return j, c.end("reply to join")
}
