package decide

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// alterConfigs decides key 44. Each resource succeeds or fails as a whole. Every resource of the request is answered, in order.
func (d *decision) alterConfigs(req *kmsg.IncrementalAlterConfigsRequest) (Outcome, error) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	twice := repeated(req.Resources, func(r *kmsg.IncrementalAlterConfigsRequestResource) string {
		return strconv.Itoa(int(r.ResourceType)) + " " + r.ResourceName
	})
	for n := range req.Resources {
		r := &req.Resources[n]
		err := protocol.Errorf(kerr.InvalidRequest, "Each resource must appear at most once.")
		if !twice[strconv.Itoa(int(r.ResourceType))+" "+r.ResourceName] {
			err = d.alterResource(r)
		}
		reply := kmsg.NewIncrementalAlterConfigsResponseResource()
		reply.ResourceType, reply.ResourceName = r.ResourceType, r.ResourceName
		reply.ErrorCode, reply.ErrorMessage = protocol.ErrorCode(err), protocol.ErrorMessage(err)
		resp.Resources = append(resp.Resources, reply)
	}
	return d.outcome(resp, req.ValidateOnly)
}

// alterResource adds the records of one resource. An error means that no record was added.
func (d *decision) alterResource(r *kmsg.IncrementalAlterConfigsRequestResource) error {
	if err := checkKeys(r.Configs); err != nil {
		return err
	}
	scope := config.Scope(r.ResourceType)
	if err := d.checkResource(scope, r.ResourceName); err != nil {
		return err
	}
	before := d.view.Config(scope, r.ResourceName)
	after := make(map[string]string, len(before)+len(r.Configs))
	for name, value := range before {
		after[name] = value
	}
	for n := range r.Configs {
		if err := alter(scope, after, &r.Configs[n]); err != nil {
			return err
		}
	}
	if err := checkResult(scope, r, after); err != nil {
		return err
	}
	for n := range r.Configs { // each name once: checkKeys
		name := r.Configs[n].Name
		was, had := before[name]
		value, has := after[name]
		if had == has && was == value {
			continue
		}
		k := &record.Config{ResourceType: int32(scope), ResourceName: r.ResourceName, Name: name}
		if has {
			k.Value = &value
		}
		d.records = append(d.records, record.Of(k))
	}
	return nil
}

func checkKeys(list []kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	if len(repeated(list, func(c *kmsg.IncrementalAlterConfigsRequestResourceConfig) string { return c.Name })) > 0 {
		return protocol.Errorf(kerr.InvalidRequest, "Error due to duplicate config keys")
	}
	var nulls []string
	for _, c := range list {
		if !utf8.ValidString(c.Name) {
			return protocol.Errorf(kerr.InvalidRequest, "Config name %q is not UTF-8.", c.Name)
		}
		if c.Value == nil && c.Op != kmsg.IncrementalAlterConfigOpDelete {
			nulls = append(nulls, c.Name)
		}
	}
	if len(nulls) > 0 {
		return protocol.Errorf(kerr.InvalidRequest, "Null value not supported for : %s", strings.Join(nulls, ","))
	}
	return nil
}

// checkResource tells whether there is a resource of that name, whose configs are kept here.
func (d *decision) checkResource(scope config.Scope, name string) error {
	switch scope {
	case config.Topic:
		if name == "" {
			return protocol.Errorf(kerr.InvalidRequest, "Default topic resources are not allowed.")
		}
		if err := checkTopicName(name); err != nil {
			return err
		}
		if d.view.Topic(name) == nil {
			return protocol.Errorf(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", name)
		}
		return nil
	case config.Broker:
		return d.checkBrokerResource(name)
	}
	return protocol.Errorf(kerr.InvalidRequest, "Unknown resource type %d", scope)
}

func (d *decision) checkBrokerResource(name string) error {
	if name == "" {
		return nil // the default of the cluster
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil || strconv.FormatInt(id, 10) != name: // "+1" and "01" would be other resources than "1"
		return protocol.Errorf(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", name)
	case id < 0:
		return protocol.Errorf(kerr.InvalidRequest, "Invalid negative broker ID.")
	case d.view.Broker(protocol.BrokerID(id)) == nil:
		return protocol.Errorf(kerr.BrokerIDNotRegistered, "No node with id %d found.", id)
	}
	return nil
}

// alter does one operation on the configs of a resource.
func alter(scope config.Scope, set map[string]string, c *kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	switch c.Op {
	case kmsg.IncrementalAlterConfigOpSet:
		set[c.Name] = text(*c.Value)
	case kmsg.IncrementalAlterConfigOpDelete:
		delete(set, c.Name)
		return nil
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		value, err := alterList(scope, set, c)
		if err != nil {
			return err
		}
		set[c.Name] = value
	default:
		return protocol.Errorf(kerr.InvalidRequest, "Unknown operations type %d", int8(c.Op))
	}
	return checkValueSize(set[c.Name])
}

// alterList appends to a list what is not in it yet, or takes elements out. A list that is not set begins as the default.
func alterList(scope config.Scope, set map[string]string, c *kmsg.IncrementalAlterConfigsRequestResourceConfig) (string, error) {
	def := config.Lookup(scope, c.Name)
	if def == nil || def.Type != config.List {
		return "", notAList(scope, c, def)
	}
	value, ok := set[c.Name]
	if !ok {
		value = def.Default
	}
	var list []string
	if strings.TrimSpace(value) != "" {
		list = strings.Split(value, ",")
	}
	for element := range strings.SplitSeq(text(*c.Value), ",") {
		at := slices.Index(list, element)
		switch {
		case c.Op == kmsg.IncrementalAlterConfigOpAppend && at < 0:
			list = append(list, element)
		case c.Op == kmsg.IncrementalAlterConfigOpSubtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	return strings.Join(list, ","), nil
}

func notAList(scope config.Scope, c *kmsg.IncrementalAlterConfigsRequestResourceConfig, def *config.Definition) error {
	switch {
	case scope == config.Topic:
		return protocol.Errorf(kerr.InvalidConfig, "Can't %s to key %s because its type is not LIST.", c.Op, c.Name)
	case def == nil:
		return protocol.Errorf(kerr.InvalidConfig, "Unknown config name: %s", c.Name)
	}
	return protocol.Errorf(kerr.InvalidConfig, "Config value %s is not allowed for config key: %s", strings.ToLower(c.Op.String()), c.Name)
}

// checkResult checks the configs that the resource would have.
func checkResult(scope config.Scope, r *kmsg.IncrementalAlterConfigsRequestResource, after map[string]string) error {
	if scope == config.Topic {
		if err := config.ValidateTopic(after); err != nil {
			return kind(kerr.InvalidConfig, err)
		}
		return nil
	}
	return checkBrokerConfigs(r, after)
}

// checkBrokerConfigs looks at the names that the request touches. A name that is not in the table is a custom config, which anyone may set.
func checkBrokerConfigs(r *kmsg.IncrementalAlterConfigsRequestResource, after map[string]string) error {
	var fixed, single []string
	for _, c := range r.Configs {
		switch def := config.Lookup(config.Broker, c.Name); {
		case def == nil:
		case def.Mode == config.ReadOnly:
			fixed = append(fixed, c.Name)
		case def.Mode == config.PerBroker && r.ResourceName == "":
			single = append(single, c.Name)
		}
	}
	if len(fixed) > 0 {
		return protocol.Errorf(kerr.InvalidRequest, "Cannot update these configs dynamically: [%s]", strings.Join(fixed, ", "))
	}
	for _, c := range r.Configs {
		def := config.Lookup(config.Broker, c.Name)
		value, has := after[c.Name]
		if def == nil || !has {
			continue
		}
		if err := def.Validate(value); err != nil {
			return kind(kerr.InvalidRequest, err) // not INVALID_CONFIG: clients know it so (KAFKA-13609)
		}
	}
	if len(single) > 0 {
		return protocol.Errorf(kerr.InvalidRequest, "Cannot update these configs at default cluster level, broker id must be specified: [%s]",
			strings.Join(single, ", "))
	}
	return nil
}

// maxValueSize is how many bytes the value of a config may have, as in Kafka.
const maxValueSize = 32767

func checkValueSize(value string) error {
	if len(value) > maxValueSize {
		return protocol.Errorf(kerr.InvalidConfig, "The configuration value cannot be added because it exceeds the maximum value size of %d bytes.", maxValueSize)
	}
	return nil
}
