package classic

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerType is the protocol type whose members say which topics they read, in a format that the coordinator knows.
const ConsumerType = "consumer"

// supports tells whether somebody with these protocols can join the members that are there: one protocol has to be everybody's.
func (g *group) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if g.state == empty {
		return protocolType != "" && len(protocols) > 0
	}
	if protocolType != g.protocolType {
		return false
	}
	for _, p := range protocols {
		if g.supported[p.Name] == len(g.members) {
			return true
		}
	}
	return false
}

// elect is the protocol that most members like best among those that all know; of equals the one whose first voter came first.
func (g *group) elect() string {
	candidate := func(protocol string) bool { return g.supported[protocol] == len(g.members) }
	votes := map[string]int{}
	best := ""
	var order []string
	for _, m := range g.members {
		v := m.vote(candidate)
		if votes[v] == 0 {
			order = append(order, v)
		}
		votes[v]++
	}
	for _, v := range order {
		if best == "" || votes[v] > votes[best] {
			best = v
		}
	}
	return best
}

// subscribe works out which topics the members read.
func (g *group) subscribe() {
	g.topics = nil
	if g.protocolType != ConsumerType {
		return
	}
	topics := map[string]bool{}
	for _, m := range g.members {
		if !subscription(m.metadata(g.protocol), topics) {
			return
		}
	}
	g.topics = topics
}

// reads tells whether members may read the topic: what cannot be told of a consumer group is taken for yes.
func (g *group) reads(topic string) bool {
	if g.topics == nil {
		return g.protocolType == ConsumerType && len(g.members) > 0
	}
	return g.topics[topic]
}

// subscription reads the topics out of what a consumer says of itself, whose beginning is the same in all versions:
//
//	version int16 | count int32 | count × (length int16 | topic)
func subscription(b []byte, into map[string]bool) bool {
	if len(b) < 6 {
		return false
	}
	count := int32(binary.BigEndian.Uint32(b[2:]))
	b = b[6:]
	for range count {
		if len(b) < 2 {
			return false
		}
		length := int(int16(binary.BigEndian.Uint16(b)))
		if length < 0 || len(b) < 2+length {
			return false
		}
		into[string(b[2:2+length])] = true
		b = b[2+length:]
	}
	return count >= 0
}
