//go:build clients

package clients

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of resource that have configs.
const (
	ofTopic         kmsg.ConfigResourceType = 2
	ofBroker        kmsg.ConfigResourceType = 4
	ofBrokerLogger  kmsg.ConfigResourceType = 8
	ofClientMetrics kmsg.ConfigResourceType = 16
	ofGroup         kmsg.ConfigResourceType = 32
)

// configsOf asks for these configs of a resource; no names means all.
func configsOf(kind kmsg.ConfigResourceType, resource string, names ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, names
	req.Resources = append(req.Resources, r)
	return req
}

func described(req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsRequest {
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	return req
}

// alter is one operation on one config, written "name=value" (set), "name" (delete), "name+=value", "name-=value".
func alter(kind kmsg.ConfigResourceType, resource string, ops ...string) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	for _, op := range ops {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		name, value, set := strings.Cut(op, "=")
		c.Name, c.Op = strings.TrimRight(name, "+-"), 0
		switch {
		case !set:
			c.Op = 1
		case strings.HasSuffix(name, "+"):
			c.Op = 2
		case strings.HasSuffix(name, "-"):
			c.Op = 3
		}
		if set {
			c.Value = &value
		}
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}

// overrides notes the topic's own configs once the broker has applied those that say so.
func (x *exchange) overrides(topic string, want ...string) {
	patiently(topic+" has its configs", func() error {
		r := must[*kmsg.DescribeConfigsResponse](x, 4, configsOf(ofTopic, topic)).Resources[0]
		for _, c := range r.Configs {
			for _, w := range want {
				if name, value, _ := strings.Cut(w, "="); name == c.Name && (c.Value == nil || *c.Value != value) {
					return fmt.Errorf("%s is not %s", name, value)
				}
			}
		}
		return nil
	})
	x.ask(4, configsOf(ofTopic, topic, "cleanup.policy", "retention.ms", "leader.replication.throttled.replicas", "follower.replication.throttled.replicas", "segment.bytes", "min.insync.replicas"))
}

func configsCases() []rawCase {
	cases := each(32, 1, "describe configs: topic", func(x *exchange, v int16) {
		name := fmt.Sprintf("configs-%d", v)
		x.topic(name, 1, "retention.ms=5000", "cleanup.policy=compact,delete")
		x.ask(v, configsOf(ofTopic, name))
		x.ask(v, described(configsOf(ofTopic, name)))
		x.ask(v, configsOf(ofTopic, name, "retention.ms", "segment.bytes"))
		x.ask(v, configsOf(ofTopic, name, "no.such"))
		x.ask(v, configsOf(ofTopic, name, "retention.ms", "retention.ms", "no.such"))
		empty := configsOf(ofTopic, name)
		empty.Resources[0].ConfigNames = []string{}
		x.ask(v, empty)
		two := configsOf(ofTopic, name, "retention.ms")
		two.Resources = append(two.Resources, configsOf(ofTopic, "never-created").Resources[0], configsOf(ofTopic, name, "segment.ms").Resources[0])
		x.ask(v, two)
		x.ask(v, kmsg.NewPtrDescribeConfigsRequest())
	})
	cases = append(cases, each(32, 1, "describe configs: resources", func(x *exchange, v int16) {
		for _, name := range []string{"never-created", "", "a/b", "__cluster_metadata"} {
			x.ask(v, configsOf(ofTopic, name, "retention.ms"))
		}
		for _, name := range []string{"1", "", "2", "-1", "x", "99999999999", "01"} {
			x.ask(v, configsOf(ofBroker, name, "log.retention.ms", "num.partitions", "no.such"))
		}
	})...)
	cases = append(cases, rawCase{"describe configs: kinds that are none", func(x *exchange) {
		for _, kind := range []kmsg.ConfigResourceType{0, 1, 3, 64, 127, -1} {
			x.ask(4, configsOf(kind, "x"))
		}
	}})
	cases = append(cases,
		rawCase{"describe configs: odd kinds", func(x *exchange) {
			for _, kind := range []kmsg.ConfigResourceType{ofGroup, ofClientMetrics} {
				for _, name := range []string{"", "x", "a/b"} {
					x.ask(4, configsOf(kind, name))
				}
			}
			for _, name := range []string{"", "2", "x"} {
				x.ask(4, configsOf(ofBrokerLogger, name))
			}
		}},
		rawCase{"describe configs: broker logger", func(x *exchange) { x.ask(4, configsOf(ofBrokerLogger, "1")) }},
		rawCase{"describe configs: broker", func(x *exchange) { x.ask(4, configsOf(ofBroker, "1")) }},
		rawCase{"describe configs: broker, with words", func(x *exchange) { x.ask(4, described(configsOf(ofBroker, "1"))) }},
		rawCase{"describe configs: broker, log configs with synonyms", func(x *exchange) {
			for _, name := range []string{"log.retention.ms", "log.retention.hours", "log.roll.ms", "log.segment.bytes", "log.cleanup.policy", "log.flush.interval.ms", "message.max.bytes", "min.insync.replicas",
				"compression.type", "num.partitions", "auto.create.topics.enable", "node.id", "broker.id", "process.roles", "log.message.timestamp.type", "default.replication.factor", "socket.request.max.bytes",
				"advertised.listeners", "listeners", "ssl.keystore.password", "log.index.interval.bytes", "unclean.leader.election.enable", "log.cleaner.threads"} {
				req := configsOf(ofBroker, "1", name)
				req.IncludeSynonyms = true
				x.ask(4, req)
			}
		}},
	)
	return append(append(cases, alterCases()...), dynamicCases()...)
}

func alterCases() []rawCase {
	cases := each(44, 0, "alter configs", func(x *exchange, v int16) {
		name := fmt.Sprintf("alter-%d", v)
		x.topic(name, 1, "segment.bytes=2000000")
		x.ask(v, alter(ofTopic, name, "retention.ms=1000", "cleanup.policy=compact"))
		x.overrides(name, "retention.ms=1000", "cleanup.policy=compact")
		x.ask(v, alter(ofTopic, name, "cleanup.policy+=delete"))
		x.overrides(name, "cleanup.policy=compact,delete")
		x.ask(v, alter(ofTopic, name, "cleanup.policy+=delete"))
		x.ask(v, alter(ofTopic, name, "cleanup.policy-=compact"))
		x.overrides(name, "cleanup.policy=delete")
		x.ask(v, alter(ofTopic, name, "cleanup.policy-=compact"))
		x.ask(v, alter(ofTopic, name, "leader.replication.throttled.replicas+=0:1", "follower.replication.throttled.replicas=*"))
		x.overrides(name, "leader.replication.throttled.replicas=0:1")
		x.ask(v, alter(ofTopic, name, "retention.ms", "segment.bytes", "min.insync.replicas"))
		x.overrides(name, "retention.ms=604800000", "segment.bytes=1073741824")
		x.ask(v, alter(ofTopic, name, "cleanup.policy-=delete"))
		x.ask(v, alter(ofTopic, name))
		x.ask(v, kmsg.NewPtrIncrementalAlterConfigsRequest())
	})
	return append(cases, each(44, 0, "alter configs: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("alter-wrong-%d", v)
		x.topic(name, 1)
		for _, op := range []string{"no.such=1", "no.such", "retention.ms=soon", "retention.ms=-2", "retention.ms+=1", "retention.ms-=1", "cleanup.policy=burn", "cleanup.policy+=burn", "cleanup.policy-=burn", "cleanup.policy=",
			"=1", "segment.bytes=1", "min.insync.replicas=2", "preallocate=maybe", "remote.storage.enable=true", "leader.replication.throttled.replicas=x", "max.message.bytes=-1", "no.such+=1"} {
			x.ask(v, alter(ofTopic, name, op))
		}
		for _, op := range []kmsg.IncrementalAlterConfigOp{0, 2, 3} {
			req := alter(ofTopic, name, "cleanup.policy")
			req.Resources[0].Configs[0].Op = op
			x.ask(v, req)
		}
		valued := alter(ofTopic, name, "retention.ms=1")
		valued.Resources[0].Configs[0].Op = 1
		x.ask(v, valued)
		x.ask(v, alter(ofTopic, name, "retention.ms=1", "retention.ms=2"))
		x.ask(v, alter(ofTopic, name, "retention.ms=77", "no.such=2"))
		twice := alter(ofTopic, name, "retention.ms=1")
		twice.Resources = append(twice.Resources, alter(ofTopic, name, "retention.ms=2").Resources[0], alter(ofTopic, "never-created", "retention.ms=2").Resources[0])
		x.ask(v, twice)
		for _, topic := range []string{"never-created", "", "a/b", "__cluster_metadata"} {
			x.ask(v, alter(ofTopic, topic, "retention.ms=1"))
		}
		for _, kind := range []kmsg.ConfigResourceType{0, 1, 3, 64, 127} {
			x.ask(v, alter(kind, "x", "a=1"))
		}
		check := alter(ofTopic, name, "retention.ms=99")
		check.ValidateOnly = true
		x.ask(v, check)
		check = alter(ofTopic, name, "retention.ms=x")
		check.ValidateOnly = true
		x.ask(v, check)
		x.overrides(name)
	})...)
}

// dynamicCases are about configs of brokers.
func dynamicCases() []rawCase {
	return []rawCase{
		{"alter configs: operations that are none", func(x *exchange) {
			x.topic("alter-operation", 1)
			for _, op := range []kmsg.IncrementalAlterConfigOp{4, -1, 127} {
				req := alter(ofTopic, "alter-operation", "retention.ms=1")
				req.Resources[0].Configs[0].Op = op
				x.ask(1, req)
			}
		}},
		{"alter configs: odd kinds", func(x *exchange) {
			for _, broker := range []string{"2", "x", "-1", "99999999999"} {
				x.ask(1, alter(ofBroker, broker, "log.cleaner.threads=2"))
			}
			for _, op := range []string{"log.dirs=/x", "no.such=1", "log.retention.ms=x", "node.id=7", "listeners=PLAINTEXT://:1", "num.io.threads=0"} {
				x.ask(1, alter(ofBroker, "1", op))
				x.ask(1, alter(ofBroker, "", op))
			}
			x.ask(1, alter(ofBrokerLogger, "1", "no.such.logger=DEBUG"))
			x.ask(1, alter(ofBrokerLogger, "2", "kafka=DEBUG"))
			x.ask(1, alter(ofGroup, "", "consumer.session.timeout.ms=45000"))
			x.ask(1, alter(ofGroup, "g", "no.such=1"))
			x.ask(1, alter(ofClientMetrics, "", "interval.ms=1"))
		}},
		{"alter configs: cluster default", func(x *exchange) {
			x.topic("alter-default", 1)
			x.ask(1, alter(ofBroker, "", "log.retention.ms=7200000", "num.recovery.threads.per.data.dir=2"))
			patiently("the default is in force", func() error {
				r := must[*kmsg.DescribeConfigsResponse](x, 4, configsOf(ofTopic, "alter-default", "retention.ms")).Resources[0]
				if len(r.Configs) != 1 || r.Configs[0].Value == nil || *r.Configs[0].Value != "7200000" {
					return fmt.Errorf("retention.ms is something else")
				}
				return nil
			})
			for _, name := range []string{"1", ""} {
				req := configsOf(ofBroker, name, "log.retention.ms", "log.retention.hours", "num.recovery.threads.per.data.dir")
				req.IncludeSynonyms = true
				x.ask(4, req)
			}
			x.ask(4, configsOf(ofBroker, ""))
			req := configsOf(ofTopic, "alter-default", "retention.ms")
			req.IncludeSynonyms = true
			x.ask(4, req)
			x.ask(1, alter(ofBroker, "", "log.retention.ms", "num.recovery.threads.per.data.dir"))
		}},
	}
}
