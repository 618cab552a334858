package handlers

// CreateTopics (key 19), versions 2 to 7.
//
//	v2  throttle time
//	v3  throttling after the response (KIP-219)
//	v4  partitions and replication factor of -1 are the broker's defaults (KIP-464)
//	v5  flexible; partitions, replication factor and configs of what was created (KIP-525)
//	v6  THROTTLING_QUOTA_EXCEEDED (KIP-599), which this broker does not give
//	v7  topic ids (KIP-516)
//
// Create on the cluster, or on the topic, is needed; without DescribeConfigs on the topic the answer leaves out what was created, with TOPIC_AUTHORIZATION_FAILED as the configs' error.
// Names that come more than once are INVALID_REQUEST. The answer waits until this broker has applied the change: a topic that was created is in its next Metadata answer.
// Differs from Apache Kafka: topics come in the order of the request, errors first, where Kafka's order is that of a hash table.

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func createTopics(r *request, req *kmsg.CreateTopicsRequest) kmsg.Response {
	type in = kmsg.CreateTopicsRequestTopic
	type out = kmsg.CreateTopicsResponseTopic
	fail := func(t *in, err error) out {
		o := kmsg.NewCreateTopicsResponseTopic()
		o.Topic, o.ErrorCode, o.ErrorMessage, o.Configs = t.Topic, r.code(err), protocol.ErrorMessage(err), noConfigs
		return o
	}
	twice := repeated(req.Topics, func(t *in) string { return t.Topic })
	wholeCluster := r.mayCluster(protocol.OpCreate)
	told := map[string]bool{}
	rest, failed := split(req.Topics, func(t *in) error {
		switch {
		case twice[t.Topic]:
			return errDuplicateTopic
		case t.Topic == protocol.MetadataTopic:
			return protocol.Errorf(kerr.InvalidRequest, "Creation of internal topic %s is prohibited.", protocol.MetadataTopic)
		case !wholeCluster && !r.mayTopic(protocol.OpCreate, t.Topic):
			return kerr.TopicAuthorizationFailed
		}
		told[t.Topic] = r.mayTopic(protocol.OpDescribeConfigs, t.Topic)
		return nil
	}, fail)
	req.Topics = rest

	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.Topics = onceEach(failed, func(o *out) string { return o.Topic })
	if len(rest) == 0 {
		return resp
	}
	return submit(r, req.TimeoutMillis, req, func(decided *kmsg.CreateTopicsResponse, err error) kmsg.Response {
		if err != nil {
			resp.Topics = append(resp.Topics, failAll(rest, err, fail)...)
			return resp
		}
		for _, t := range decided.Topics {
			r.call.Reply.SetError(t.ErrorCode)
			if t.ErrorCode == 0 && !told[t.Topic] {
				t.ConfigErrorCode, t.NumPartitions, t.ReplicationFactor, t.Configs = kerr.TopicAuthorizationFailed.Code, -1, -1, noConfigs
			}
			if t.Configs == nil {
				t.Configs = noConfigs
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp
	})
}

// noConfigs is empty and not null, as Kafka sends it.
var noConfigs = []kmsg.CreateTopicsResponseTopicConfig{}

var errDuplicateTopic = protocol.Errorf(kerr.InvalidRequest, "Duplicate topic name.")

// onceEach leaves the first answer of each key: what came twice is answered once, as in Kafka.
func onceEach[Out any, K comparable](out []Out, key func(*Out) K) []Out {
	seen := make(map[K]bool, len(out))
	kept := out[:0]
	for i := range out {
		if k := key(&out[i]); !seen[k] {
			seen[k] = true
			kept = append(kept, out[i])
		}
	}
	return kept
}
