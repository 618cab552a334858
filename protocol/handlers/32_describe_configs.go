package handlers

// DescribeConfigs (key 32), versions 1 to 4: the configs of topics, of this broker, and the dynamic defaults of all brokers (a broker with an empty name).
//
//	v1  where each value comes from; synonyms, if asked for (KIP-226)
//	v2  throttling after the response (KIP-219)
//	v3  type; documentation, if asked for (KIP-569)
//	v4  flexible (KIP-482)
//
// A topic or this broker lists every config of the table, or those named; the dynamic defaults list what is set. A sensitive value is null. A broker config is read-only if it
// can only be set at start. UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION; INVALID_REQUEST for another broker's id, which that broker has to be asked.
// Not done: broker loggers, client metrics and groups are INVALID_REQUEST: there is nothing to describe yet.
// Differs from Apache Kafka: a resource that is named again is answered once, as a megabyte of names would else be gigabytes of answer; a resource type without a meaning
// fails alone and not the whole request. Configs that belong to Java classes or to ZooKeeper are not in the table.

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/image"
	"ottla/protocol"
	"ottla/protocol/config"
)

func describeConfigs(r *request, req *kmsg.DescribeConfigsRequest) kmsg.Response {
	img := r.Controller.Image()
	resp := kmsg.NewPtrDescribeConfigsResponse()
	type in = kmsg.DescribeConfigsRequestResource
	resources := onceEach(req.Resources, func(in *in) configResource { return configResource{in.ResourceType, in.ResourceName} })
	for i := range resources {
		in := &resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName, out.ErrorMessage = in.ResourceType, in.ResourceName, new(string) // empty and not null, as Kafka sends it
		definitions, values, err := r.described(img, in)
		if err != nil {
			out.ErrorCode = r.code(err)
			if err != kerr.UnknownTopicOrPartition { // which is told without words
				out.ErrorMessage = protocol.ErrorMessage(err)
			}
		}
		for _, d := range definitions {
			if len(in.ConfigNames) == 0 || slices.Contains(in.ConfigNames, d.Name) {
				out.Configs = append(out.Configs, describeConfig(d, values, req, in))
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

// described is which configs a resource has, and the layers that set them.
func (r *request) described(img *image.Image, in *kmsg.DescribeConfigsRequestResource) ([]*config.Definition, config.Values, error) {
	if err := r.mayConfigure(protocol.OpDescribeConfigs, in.ResourceType, in.ResourceName); err != nil {
		return nil, config.Values{}, err
	}
	switch in.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if img.Topic(in.ResourceName) == nil {
			return nil, config.Values{}, unknownTopic(in.ResourceName)
		}
		return config.All(config.Topic), r.topicValues(img, in.ResourceName), nil
	case kmsg.ConfigResourceTypeBroker:
		return r.describedBroker(img, in.ResourceName)
	}
	return nil, config.Values{}, protocol.Errorf(kerr.InvalidRequest, "Unsupported resource type: %s", in.ResourceType)
}

func (r *request) describedBroker(img *image.Image, name string) ([]*config.Definition, config.Values, error) {
	if name == "" {
		set := config.Values{DynamicDefault: img.Config(config.Broker, "")}
		defaults := slices.DeleteFunc(slices.Clone(config.All(config.Broker)), func(d *config.Definition) bool {
			_, ok := set.DynamicDefault[d.Name]
			return !ok
		})
		return defaults, set, nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return nil, config.Values{}, protocol.Errorf(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", name)
	case protocol.BrokerID(id) != r.Broker:
		return nil, config.Values{}, protocol.Errorf(kerr.InvalidRequest, "Unexpected broker id, expected %d or empty string, but received %s", r.Broker, name)
	}
	return config.All(config.Broker), r.Settings(), nil
}

func describeConfig(d *config.Definition, v config.Values, req *kmsg.DescribeConfigsRequest, in *kmsg.DescribeConfigsRequestResource) kmsg.DescribeConfigsResponseResourceConfig {
	value, source := v.Value(d)
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.IsSensitive = d.Name, d.Sensitive
	c.Source, c.IsDefault = kmsg.ConfigSource(source), source == config.Default
	c.ConfigType = kmsg.ConfigType(d.Type)
	c.ReadOnly = d.Scope == config.Broker && d.Mode == config.ReadOnly
	if !d.Sensitive && (source != config.Default || d.HasDefault) {
		c.Value = &value
	}
	if req.IncludeDocumentation {
		c.Documentation = &d.Doc
	}
	if !req.IncludeSynonyms {
		return c
	}
	for _, e := range v.Synonyms(d) {
		if in.ResourceType == kmsg.ConfigResourceTypeBroker && in.ResourceName == "" && e.Source != config.DynamicDefault {
			continue // the defaults of all brokers know no broker's own layers
		}
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Source = e.Name, kmsg.ConfigSource(e.Source)
		if !d.Sensitive {
			s.Value = &e.Value
		}
		c.ConfigSynonyms = append(c.ConfigSynonyms, s)
	}
	return c
}

// mayConfigure asks for the right that a config resource needs; INVALID_REQUEST for a type that is none.
func (r *request) mayConfigure(op protocol.Operation, t kmsg.ConfigResourceType, name string) error {
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		if !r.mayTopic(op, name) {
			return kerr.TopicAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics:
		if !r.mayCluster(op) {
			return kerr.ClusterAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if !r.mayGroup(op, name) {
			return kerr.GroupAuthorizationFailed
		}
	default:
		return protocol.Errorf(kerr.InvalidRequest, "Unexpected resource type %d", t)
	}
	return nil
}
