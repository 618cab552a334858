package decide

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
)

// commands of the scripts. Options are key=value; every item is an indented line.
//
//	static NAME=VALUE …                            broker properties of the deciding node
//	dump                                           the state, as a snapshot
//	feature NAME level=N                           finalizes a feature, by hand
//	fence|unfence ID                               by hand
//	register ID incarnation=N [dirs=A,B] [rack=R] [cluster=C] [version=V] [nowhere] [quiet]; items: NAME min=N max=N of a feature
//	                                               the broker's first heartbeat follows, unless it is quiet
//	create-topics [version=V] [validate]           items: NAME partitions=N factor=N [assign=P:B,B/P:B,B] [set:KEY=VALUE] [null:KEY]
//	delete-topics [version=V]                      items: NAME | - id=HEX; a name with id=HEX has both
//	create-partitions [validate]                   items: NAME count=N [assign=B,B/B,B]
//	replace-configs [validate]                     items: topic|broker name=N set:K=V
//	alter-configs [validate]                       items: topic|broker|TYPE name=N set:K=V delete:K append:K=V subtract:K=V null:K op9:K=V
//	allocate-producer-ids ID epoch=N
//	alive ID …                                     these brokers have a session, and no others
//	behind ID …                                    others do not know yet what these brokers in controlled shutdown handed over
//	heartbeat ID epoch=N [offset=N] [fence] [stop] [offline=A,B]
//	expire ID epoch=N                              the session is over
//	unregister ID
//	controller ID                                  leads the quorum from now on, by hand
//	voters ID …
//	register-controller ID raft=N dir=A            items: NAME min=N max=N of a feature
//	unregister-controller ID
//	join ID dir=A                                  -1: any
//	raise-format                                   as far as the registered nodes allow
//	update-features [version=V] [validate]         items: NAME level=N [kind=N] [downgrade]
//	metadata                                       a request that is not decided here
var commands = map[string]func(*cluster, line, []line) string{
	"static": func(c *cluster, l line, _ []line) string {
		for key, value := range l.args {
			c.env.Static[key] = value
		}
		return ""
	},
	"dump": func(c *cluster, _ line, _ []line) string { return dump(c.live) },
	"feature": func(c *cluster, l line, _ []line) string {
		c.write([]*record.Record{record.Of(&record.FeatureLevel{Name: l.keys[0], Level: int32(l.number("level", 0))})})
		return ""
	},
	"fence":                 func(c *cluster, l line, _ []line) string { return c.fence(l, true) },
	"unfence":               func(c *cluster, l line, _ []line) string { return c.fence(l, false) },
	"register":              (*cluster).register,
	"create-topics":         (*cluster).createTopics,
	"delete-topics":         (*cluster).deleteTopics,
	"create-partitions":     (*cluster).createPartitions,
	"alter-configs":         (*cluster).alterConfigs,
	"replace-configs":       (*cluster).replaceConfigs,
	"allocate-producer-ids": (*cluster).allocate,

	"heartbeat":             (*cluster).heartbeat,
	"alive":                 (*cluster).setAlive,
	"behind":                (*cluster).setBehind,
	"expire":                (*cluster).expire,
	"unregister":            (*cluster).unregister,
	"controller":            (*cluster).setController,
	"voters":                (*cluster).setVoters,
	"register-controller":   (*cluster).registerController,
	"unregister-controller": (*cluster).unregisterController,
	"join":                  (*cluster).join,
	"raise-format":          (*cluster).raiseFormat,
	"update-features":       (*cluster).updateFeatures,
	"metadata":              func(c *cluster, _ line, _ []line) string { return c.decide(kmsg.NewPtrMetadataRequest()) },
}

func numbers(s string) []int32 {
	out := []int32{}
	for f := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			panic(err)
		}
		out = append(out, int32(n))
	}
	return out
}

// id is a readable one: a letter and a number.
func id(s string) protocol.ID {
	n, _ := strconv.Atoi(s[1:])
	return protocol.ID{0: s[0], 15: byte(n)}
}

func (c *cluster) fence(l line, fenced bool) string {
	n, _ := strconv.Atoi(l.keys[0])
	b := c.live.Broker(protocol.BrokerID(n))
	c.write([]*record.Record{record.Of(&record.BrokerFencing{Id: int32(n), Epoch: int64(b.Epoch), Fenced: fenced})})
	return ""
}

func (c *cluster) register(l line, items []line) string {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = int16(l.number("version", 4))
	n, _ := strconv.Atoi(l.keys[0])
	req.BrokerID, req.ClusterID = int32(n), "test"
	if l.has("cluster") {
		req.ClusterID = l.args["cluster"]
	}
	req.IncarnationID = id("i" + l.args["incarnation"])
	if l.has("rack") {
		rack := l.args["rack"]
		req.Rack = &rack
	}
	dirs := "d" + l.keys[0]
	if l.has("dirs") {
		dirs = l.args["dirs"]
	}
	for d := range strings.FieldsFuncSeq(dirs, func(r rune) bool { return r == ',' }) {
		req.LogDirs = append(req.LogDirs, id(d))
	}
	if !l.has("nowhere") {
		listener := kmsg.NewBrokerRegistrationRequestListener()
		listener.Name, listener.Host, listener.Port = "PLAINTEXT", "host"+l.keys[0], 9092
		req.Listeners = append(req.Listeners, listener)
	}
	for _, item := range items {
		f := kmsg.NewBrokerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = item.name, int16(item.number("min", 0)), int16(item.number("max", 0))
		req.Features = append(req.Features, f)
	}
	said := c.decide(req)
	if b := c.live.Broker(protocol.BrokerID(n)); b != nil && b.Fenced && b.Incarnation == req.IncarnationID && !l.has("quiet") {
		first := kmsg.NewPtrBrokerHeartbeatRequest()
		first.BrokerID, first.BrokerEpoch, first.CurrentMetadataOffset = int32(n), int64(b.Epoch), int64(b.Epoch)
		_, records, _ := strings.Cut(c.decide(first), "\n")
		said += records
	}
	return said
}

func (c *cluster) createTopics(l line, items []line) string {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = int16(l.number("version", 7)), l.has("validate")
	for _, item := range items {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic = item.name
		t.NumPartitions, t.ReplicationFactor = int32(item.number("partitions", -1)), int16(item.number("factor", -1))
		if item.has("assign") {
			for part := range strings.SplitSeq(item.args["assign"], "/") {
				p, brokers, _ := strings.Cut(part, ":")
				a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
				a.Partition, a.Replicas = numbers(p)[0], numbers(brokers)
				t.ReplicaAssignment = append(t.ReplicaAssignment, a)
			}
		}
		for _, key := range item.keys {
			op, name, _ := strings.Cut(key, ":")
			k := kmsg.NewCreateTopicsRequestTopicConfig()
			k.Name = name
			switch value := item.args[key]; op {
			case "set":
				k.Value = &value
			case "null":
			default:
				continue
			}
			t.Configs = append(t.Configs, k)
		}
		req.Topics = append(req.Topics, t)
	}
	return c.decide(req)
}

func (c *cluster) deleteTopics(l line, items []line) string {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = int16(l.number("version", 6))
	for _, item := range items {
		name := item.name
		if req.Version < 6 {
			req.TopicNames = append(req.TopicNames, name)
			continue
		}
		t := kmsg.NewDeleteTopicsRequestTopic()
		if name != "-" {
			t.Topic = &name
		}
		if item.has("id") {
			t.TopicID = id(item.args["id"])
		}
		req.Topics = append(req.Topics, t)
	}
	return c.decide(req)
}

func (c *cluster) createPartitions(l line, items []line) string {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.ValidateOnly = 3, l.has("validate")
	for _, item := range items {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = item.name, int32(item.number("count", 0))
		if item.has("assign") {
			t.Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
			for part := range strings.SplitSeq(item.args["assign"], "/") {
				a := kmsg.NewCreatePartitionsRequestTopicAssignment()
				a.Replicas = numbers(part)
				t.Assignment = append(t.Assignment, a)
			}
		}
		req.Topics = append(req.Topics, t)
	}
	return c.decide(req)
}

func (c *cluster) alterConfigs(l line, items []line) string {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.ValidateOnly = 1, l.has("validate")
	for _, item := range items {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceName = item.args["name"]
		switch item.name {
		case "topic":
			r.ResourceType = kmsg.ConfigResourceTypeTopic
		case "broker":
			r.ResourceType = kmsg.ConfigResourceTypeBroker
		default:
			r.ResourceType = kmsg.ConfigResourceType(numbers(item.name)[0])
		}
		for _, key := range item.keys {
			op, name, ok := strings.Cut(key, ":")
			if !ok {
				continue
			}
			k := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			k.Name = strings.TrimRight(name, "'") // a quote tells two of one name apart
			value := strings.ReplaceAll(item.args[key], "LONG", strings.Repeat("x", maxValueSize+1))
			if op != "null" && op != "delete" {
				k.Value = &value
			}
			k.Op = kmsg.IncrementalAlterConfigOp(slices.Index([]string{"set", "delete", "append", "subtract", "", "", "", "", "", "op9"}, op))
			if op == "null" {
				k.Op = kmsg.IncrementalAlterConfigOpSet
			}
			r.Configs = append(r.Configs, k)
		}
		req.Resources = append(req.Resources, r)
	}
	return c.decide(req)
}

// replaceConfigs knows topics and brokers, and no operation but set.
func (c *cluster) replaceConfigs(l line, items []line) string {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version, req.ValidateOnly = 2, l.has("validate")
	for _, item := range items {
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceName, r.ResourceType = item.args["name"], kmsg.ConfigResourceTypeTopic
		if item.name == "broker" {
			r.ResourceType = kmsg.ConfigResourceTypeBroker
		}
		for _, key := range item.keys {
			if name, ok := strings.CutPrefix(key, "set:"); ok {
				k := kmsg.NewAlterConfigsRequestResourceConfig()
				value := item.args[key]
				k.Name, k.Value = name, &value
				r.Configs = append(r.Configs, k)
			}
		}
		req.Resources = append(req.Resources, r)
	}
	return c.decide(req)
}

func (c *cluster) allocate(l line, _ []line) string {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = numbers(l.keys[0])[0], l.number("epoch", 0)
	return c.decide(req)
}
