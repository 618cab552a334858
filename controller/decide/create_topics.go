package decide

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// createTopics decides key 19. Each topic succeeds or fails on its own. The answers are in the order of the request; a name given twice is answered once.
func (d *decision) createTopics(req *kmsg.CreateTopicsRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	if d.countNew(req.Topics) > maxPartitions {
		return Outcome{}, errTooManyPartitions
	}
	twice := repeated(req.Topics, func(t *kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	answered, alike := map[string]bool{}, map[string]string{}
	for n := range req.Topics {
		t := &req.Topics[n]
		if answered[t.Topic] {
			continue
		}
		answered[t.Topic] = true
		reply := kmsg.NewCreateTopicsResponseTopic()
		reply.Topic = t.Topic
		err := d.checkNewName(t.Topic, twice[t.Topic], alike)
		if err == nil {
			err = d.createTopic(t, &reply)
		}
		reply.ErrorCode, reply.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		resp.Topics = append(resp.Topics, reply)
	}
	return d.outcome(resp, req.ValidateOnly)
}

// countNew is how many partitions the request asks for.
func (d *decision) countNew(topics []kmsg.CreateTopicsRequestTopic) (count int64) {
	standard := d.broker().Int("num.partitions")
	for n := range topics {
		switch t := &topics[n]; {
		case len(t.ReplicaAssignment) > 0:
			count += int64(len(t.ReplicaAssignment))
		case t.NumPartitions == -1:
			count += standard
		case t.NumPartitions > 0:
			count += int64(t.NumPartitions)
		}
	}
	return count
}

// checkNewName tells whether a topic may be created under that name. alike gathers the names of this request that others could collide with.
func (d *decision) checkNewName(name string, twice bool, alike map[string]string) error {
	switch {
	case twice:
		return protocol.Errorf(kerr.InvalidRequest, "Duplicate topic name.")
	case name == protocol.MetadataTopic:
		return protocol.Errorf(kerr.InvalidRequest, "Creation of internal topic %s is prohibited.", protocol.MetadataTopic)
	case d.view.Topic(name) != nil:
		return protocol.Errorf(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if err := checkTopicName(name); err != nil {
		return err
	}
	if other := d.view.Colliding(name); other != nil {
		return protocol.Errorf(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other.Name)
	}
	if key, ok := image.AlikeName(name); ok {
		if other, taken := alike[key]; taken {
			return protocol.Errorf(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other)
		}
		alike[key] = name
	}
	return nil
}

// createTopic adds the records of one topic and fills in its reply. An error means that no record was added.
func (d *decision) createTopic(t *kmsg.CreateTopicsRequestTopic, reply *kmsg.CreateTopicsResponseTopic) error {
	configs, err := newConfigs(t.Configs)
	if err != nil {
		return err
	}
	assignments, chosen, err := d.assign(t)
	if err != nil {
		return err
	}
	id := d.NewTopicID()
	d.records = append(d.records, record.Of(&record.Topic{Name: t.Topic, Id: id[:], ReplicationChosen: chosen}))
	for n, a := range assignments {
		d.records = append(d.records, record.Of(a.partition(id[:], n)))
	}
	for _, name := range sortedKeys(configs) {
		value := configs[name]
		d.records = append(d.records, record.Of(&record.Config{
			ResourceType: int32(config.Topic), ResourceName: t.Topic, Name: name, Value: &value,
		}))
	}
	reply.TopicID = id
	reply.NumPartitions = int32(len(assignments))
	reply.ReplicationFactor = int16(len(assignments[0].replicas))
	reply.Configs = d.describeNew(configs)
	return nil
}

// newConfigs gathers and checks the configs that a topic begins with; nil if none.
func newConfigs(list []kmsg.CreateTopicsRequestTopicConfig) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	configs := make(map[string]string, len(list))
	var nulls []string
	for _, c := range list {
		if c.Value == nil {
			nulls = append(nulls, c.Name)
			continue
		}
		if err := checkValueSize(*c.Value); err != nil {
			return nil, err
		}
		configs[c.Name] = text(*c.Value)
	}
	if len(nulls) > 0 {
		return nil, protocol.Errorf(kerr.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(nulls, ","))
	}
	if err := config.ValidateTopic(configs); err != nil {
		return nil, kind(kerr.InvalidConfig, err)
	}
	return configs, nil
}

// describeNew is every config of a new topic, by name, as version 5 of the reply tells them (KIP-525). Topics without configs of their own share one list.
func (d *decision) describeNew(configs map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	if d.standard == nil {
		d.standard = describe(d.broker())
	}
	if len(configs) == 0 {
		return d.standard
	}
	values := d.broker()
	values.Override = configs
	return describe(values)
}

func describe(values config.Values) []kmsg.CreateTopicsResponseTopicConfig {
	all := config.All(config.Topic)
	out := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(all))
	for _, def := range all {
		value, source := values.Value(def)
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Source, c.IsSensitive = def.Name, int8(source), def.Sensitive
		if !def.Sensitive && (source != config.Default || def.HasDefault) {
			c.Value = &value
		}
		out = append(out, c)
	}
	return out
}

// assign chooses the replicas of a new topic's partitions, or takes those of the request. chosen says that the replication factor was left to us.
func (d *decision) assign(t *kmsg.CreateTopicsRequestTopic) (assignments []assignment, chosen bool, err error) {
	if len(t.ReplicaAssignment) > 0 {
		assignments, err = d.takeAssignments(t)
		return assignments, false, err
	}
	switch {
	case t.ReplicationFactor < -1 || t.ReplicationFactor == 0:
		return nil, false, protocol.Errorf(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	case t.NumPartitions < -1 || t.NumPartitions == 0:
		return nil, false, protocol.Errorf(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	partitions, factor := int(t.NumPartitions), int(t.ReplicationFactor)
	if partitions == -1 {
		partitions = int(d.broker().Int("num.partitions"))
	}
	switch {
	case factor == -1:
		factor, chosen = d.chooseFactor()
		factor = min(factor, d.maxReplicas())
	case factor > d.maxReplicas() && strings.HasPrefix(t.Topic, "__"): // asked for by a node, because of its settings
		factor = d.maxReplicas()
	case factor > d.maxReplicas() && factor <= len(d.view.Brokers()): // of more than there are brokers Kafka's placer tells
		return nil, false, d.tooManyReplicas(kerr.InvalidReplicationFactor, factor)
	}
	assignments, err = d.place(partitions, factor)
	if err != nil {
		return nil, false, protocol.Errorf(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): %s", factor, err)
	}
	return assignments, chosen, nil
}

func (d *decision) maxReplicas() int {
	if d.MaxReplicas > 0 {
		return d.MaxReplicas
	}
	return math.MaxInt
}

func (d *decision) tooManyReplicas(kind *kerr.Error, n int) error {
	return protocol.Errorf(kind, "This version keeps %d replica(s) of a partition, not %d.", d.MaxReplicas, n)
}

// standardFactor is how many replicas a partition gets where nobody says otherwise and there are enough brokers.
const standardFactor = 3

// chooseFactor is default.replication.factor where an administrator set it; else it is ours to choose, and to raise when nodes join.
func (d *decision) chooseFactor() (factor int, chosen bool) {
	if b := d.broker(); b.IsSet("default.replication.factor") {
		return int(b.Int("default.replication.factor")), false
	}
	return max(1, min(standardFactor, len(d.view.Brokers()))), true
}

// takeAssignments checks the replicas that the request names, and puts the partitions in order.
func (d *decision) takeAssignments(t *kmsg.CreateTopicsRequestTopic) ([]assignment, error) {
	switch {
	case t.ReplicationFactor != -1:
		return nil, protocol.Errorf(kerr.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	case t.NumPartitions != -1:
		return nil, protocol.Errorf(kerr.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	seen, factor := make(map[int32]bool, len(t.ReplicaAssignment)), -1
	for _, p := range t.ReplicaAssignment {
		if seen[p.Partition] {
			return nil, protocol.Errorf(kerr.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", p.Partition)
		}
		seen[p.Partition] = true
		if err := d.checkReplicas(p.Replicas, factor); err != nil {
			return nil, err
		}
		factor = len(p.Replicas)
		if len(d.active(p.Replicas)) == 0 {
			return nil, protocol.Errorf(kerr.InvalidReplicaAssignment,
				"All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", p.Partition)
		}
	}
	sorted := slices.SortedFunc(slices.Values(t.ReplicaAssignment), func(a, b kmsg.CreateTopicsRequestTopicReplicaAssignment) int {
		return cmp.Compare(a.Partition, b.Partition)
	})
	out := make([]assignment, len(sorted))
	for n, p := range sorted {
		if int(p.Partition) != n {
			return nil, protocol.Errorf(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		out[n] = d.assignment(slices.Clone(p.Replicas))
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
