package handlers

import (
	"net"
	"strconv"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/server"
	"ottla/protocol/wire"
)

// address is where a broker tells clients to find it: what it registered, or for this broker, if so configured and alone, the address that the caller has reached it at already.
func (h *Handlers) address(b *image.Broker, c *server.Call) (host string, port int32) {
	if b.ID == h.Broker && (h.AnswerLocalAddress && len(h.Controller.Image().Brokers()) <= 1 || b.Host == "") {
		return hostPort(c.Conn.LocalAddr())
	}
	return b.Host, b.Port
}

func hostPort(a net.Addr) (host string, port int32) {
	host, p, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String(), 0
	}
	n, _ := strconv.ParseUint(p, 10, 16)
	return host, int32(n)
}

// liveBrokers is every broker that clients may be sent to. It is never empty: librdkafka 2.13 stays offline for ever after a Metadata answer without brokers, so before this
// broker's registration has been applied it names itself.
func (h *Handlers) liveBrokers(img *image.Image) []*image.Broker {
	var live []*image.Broker
	for _, b := range img.Brokers() {
		if !b.Fenced {
			live = append(live, b)
		}
	}
	if len(live) == 0 {
		live = append(live, h.self(img))
	}
	return live
}

// self is this broker's registration; before there is one, an empty one that is answered with the local address.
func (h *Handlers) self(img *image.Image) *image.Broker {
	if b := img.Broker(h.Broker); b != nil {
		return b
	}
	return &image.Broker{ID: h.Broker}
}

func alive(img *image.Image, id protocol.BrokerID) bool {
	b := img.Broker(id)
	return b != nil && !b.Fenced
}

// currentLeader is what a client that came to the wrong broker, or with a stale epoch, is told (KIP-951); nothing if the leader is not known.
func (h *Handlers) currentLeader(img *image.Image, topic *image.Topic, partition int32) wire.CurrentLeader {
	if topic == nil || partition < 0 || int(partition) >= len(topic.Partitions) {
		return wire.CurrentLeader{}
	}
	p := &topic.Partitions[partition]
	return wire.CurrentLeader{ID: p.Leader, Epoch: p.LeaderEpoch, Told: true}
}

// endpoint appends a leader's address unless it is there already.
func (h *Handlers) endpoint(to []wire.NodeEndpoint, img *image.Image, id protocol.BrokerID, c *server.Call) []wire.NodeEndpoint {
	b := img.Broker(id)
	if b == nil || b.Fenced {
		return to
	}
	for i := range to {
		if to[i].NodeID == id {
			return to
		}
	}
	host, port := h.address(b, c)
	return append(to, wire.NodeEndpoint{NodeID: id, Host: host, Port: port, Rack: b.Rack})
}
