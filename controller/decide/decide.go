package decide

import (
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Env is what a decision needs besides the image and the request.
type Env struct {
	// At is the offset that the records will have: the entry after the last one proposed. A broker's epoch is that of its registration.
	At protocol.Offset
	// Static is the broker properties of the deciding node. Only read.
	Static map[string]string
	// Rand places replicas.
	Rand *rand.Rand
	// Sessions tells which brokers are alive; nil: nobody knows.
	Sessions Sessions
	// Voter tells whether a node is a voter of the quorum; nil: no node is known to be one.
	Voter func(protocol.BrokerID) bool
	// MaxReplicas is how many replicas a partition may have; zero: as many as there are brokers. What the cluster chooses, or a config asks for, is cut to it; who asks for more is refused.
	MaxReplicas int
	// NewTopicID gives the ids of topics: protocol.NewID, or something repeatable.
	NewTopicID func() protocol.TopicID
}

// Outcome is a decision: what to write, none if nothing changes, and what to answer once it is committed.
type Outcome struct {
	Records []*record.Record
	Reply   kmsg.Response
	// Divisible says that the records may be cut into several entries, in their order: should a crash leave the first of them alone, the next such request does
	// what is missing. All others are one entry or nothing.
	Divisible bool
}

// Decide answers req against v. What is wrong with a part of a request (a topic, a resource) is in the reply; an error is about the whole of it, and is a wire
// error. v is not changed. The strings of req live on in the records: they must not lie in a buffer that is used again.
func Decide(env Env, v *image.Image, now time.Time, p protocol.Principal, req kmsg.Request) (Outcome, error) {
	d := &decision{Env: env, view: v}
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		return d.createTopics(r)
	case *kmsg.DeleteTopicsRequest:
		return d.deleteTopics(r)
	case *kmsg.CreatePartitionsRequest:
		return d.createPartitions(r)
	case *kmsg.IncrementalAlterConfigsRequest:
		return d.alterConfigs(r)
	case *kmsg.AlterConfigsRequest:
		return d.replaceConfigs(r)
	case *kmsg.BrokerRegistrationRequest:
		return d.registerBroker(r)
	case *kmsg.BrokerHeartbeatRequest:
		return d.heartbeat(r)
	case *kmsg.UnregisterBrokerRequest:
		return d.unregisterBroker(r)
	case *kmsg.AllocateProducerIDsRequest:
		return d.allocateProducerIDs(r)
	case *kmsg.UpdateFeaturesRequest:
		return d.updateFeatures(r)
	case *kmsg.ControllerRegistrationRequest:
		return d.registerController(r)
	case *JoinRequest:
		return d.join(r)
	case *kmsg.UnregisterControllerRequest:
		return d.unregisterController(r)
	}
	return Outcome{}, protocol.Errorf(kerr.UnsupportedVersion, "The controller does not decide %s.", kmsg.NameForKey(req.Key()))
}

// decision is one call at work.
type decision struct {
	Env
	view    *image.Image
	records []*record.Record

	standard []kmsg.CreateTopicsResponseTopicConfig // the configs of a topic that sets none; nil until wanted
}

// broker is the configuration that the cluster's brokers share, as far as the deciding node can see.
func (d *decision) broker() config.Values {
	return config.Values{Static: d.Static, DynamicDefault: d.view.Config(config.Broker, "")}
}

// outcome ends a decision; a dry run leaves the records out. UNSUPPORTED_VERSION if there are some among them that not every node may be able to read.
func (d *decision) outcome(reply kmsg.Response, dry bool) (Outcome, error) {
	if err := d.checkLevel(); err != nil {
		return Outcome{}, err
	}
	if dry {
		d.records = nil
	}
	return Outcome{Records: d.records, Reply: reply}, nil
}

// divisible is outcome for records that may be cut.
func (d *decision) divisible(reply kmsg.Response) (Outcome, error) {
	o, err := d.outcome(reply, false)
	o.Divisible = true
	return o, err
}

// maxPartitions is how many partitions one request may create, as in Kafka.
const maxPartitions = 10_000

var errTooManyPartitions = protocol.Errorf(kerr.PolicyViolation, "Excessively large number of partitions per request.")

// repeated gives the names that occur more than once.
func repeated[T any](list []T, name func(*T) string) map[string]bool {
	seen, twice := make(map[string]bool, len(list)), map[string]bool{}
	for n := range list {
		s := name(&list[n])
		if seen[s] {
			twice[s] = true
		}
		seen[s] = true
	}
	return twice
}

// kind wraps an error of ours that has no wire kind yet; its words go to the client.
func kind(k *kerr.Error, err error) error {
	return protocol.Errorf(k, "%s", err)
}
