package decide

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// known is the sessions that a script speaks of.
type known struct{ *cluster }

func (k known) Alive(id protocol.BrokerID) bool    { return k.alive[id] }
func (k known) Followed(id protocol.BrokerID) bool { return !k.behind[id] }

// brokers is a set of the words of a line.
func brokers(l line) map[protocol.BrokerID]bool {
	set := map[protocol.BrokerID]bool{}
	for _, word := range l.keys {
		set[protocol.BrokerID(numbers(word)[0])] = true
	}
	return set
}

func (c *cluster) setAlive(l line, _ []line) string {
	c.alive = brokers(l)
	return ""
}

func (c *cluster) setBehind(l line, _ []line) string {
	c.behind = brokers(l)
	return ""
}

func (c *cluster) setVoters(l line, _ []line) string {
	c.voters = brokers(l)
	return ""
}

func (c *cluster) setController(l line, _ []line) string {
	c.write([]*record.Record{record.Of(&record.ControllerChange{NodeId: numbers(l.keys[0])[0]})})
	return ""
}

func (c *cluster) heartbeat(l line, _ []line) string {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 1, numbers(l.keys[0])[0], l.number("epoch", -1)
	req.CurrentMetadataOffset = l.number("offset", 1000)
	req.WantFence, req.WantShutdown = l.has("fence"), l.has("stop")
	for d := range strings.FieldsFuncSeq(l.args["offline"], func(r rune) bool { return r == ',' }) {
		req.OfflineLogDirs = append(req.OfflineLogDirs, id(d))
	}
	return c.decide(req)
}

func (c *cluster) expire(l line, _ []line) string {
	c.env.At = protocol.Offset(len(c.entries))
	rs := Fence(c.env, c.live, protocol.BrokerID(numbers(l.keys[0])[0]), protocol.BrokerEpoch(l.number("epoch", -1)))
	c.write(rs)
	return printRecords(rs)
}

func (c *cluster) unregister(l line, _ []line) string {
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = numbers(l.keys[0])[0]
	return c.decide(req)
}

func (c *cluster) registerController(l line, items []line) string {
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID = numbers(l.keys[0])[0]
	listener := kmsg.NewControllerRegistrationRequestListener()
	listener.Name, listener.Host, listener.Port = "PLAINTEXT", "host"+l.keys[0], 9092
	req.Listeners = append(req.Listeners, listener)
	for _, item := range items {
		f := kmsg.NewControllerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = item.name, int16(item.number("min", 0)), int16(item.number("max", 0))
		req.Features = append(req.Features, f)
	}
	if l.has("raft") {
		SetMember(req, uint64(l.number("raft", 0)), id(l.args["dir"]))
	}
	return c.decide(req)
}

func (c *cluster) unregisterController(l line, _ []line) string {
	req := kmsg.NewPtrUnregisterControllerRequest()
	req.ControllerID = numbers(l.keys[0])[0]
	return c.decide(req)
}

func (c *cluster) raiseFormat(line, []line) string {
	rs := RaiseFormat(c.live)
	c.write(rs)
	return printRecords(rs)
}

func (c *cluster) updateFeatures(l line, items []line) string {
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.Version, req.ValidateOnly = int16(l.number("version", 2)), l.has("validate")
	for _, item := range items {
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = item.name, int16(item.number("level", 0)), int8(item.number("kind", 1)), item.has("downgrade")
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	return c.decide(req)
}

func (c *cluster) join(l line, _ []line) string {
	return c.decide(&JoinRequest{protocol.Node{ID: protocol.BrokerID(numbers(l.keys[0])[0]), Directory: id(l.args["dir"])}})
}
