package decide

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ottla/controller/record"
	"ottla/protocol"
	"ottla/protocol/config"
)

// printRecords gives one line a record: its kind and the fields that are set.
func printRecords(rs []*record.Record) string {
	var b strings.Builder
	for _, r := range rs {
		m := r.ProtoReflect()
		kind := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
		fmt.Fprintf(&b, "  %s%s\n", kind.Message().Name(), printFields(m.Get(kind).Message()))
	}
	return b.String()
}

func printFields(m protoreflect.Message) string {
	var b strings.Builder
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		f := fields.Get(n)
		if m.Has(f) {
			fmt.Fprintf(&b, " %s=%s", f.Name(), printValue(f, m.Get(f)))
		}
	}
	return b.String()
}

func printValue(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.IsList() {
		var out []string
		for n := range v.List().Len() {
			out = append(out, printOne(f, v.List().Get(n)))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	return printOne(f, v)
}

func printOne(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return "{" + strings.TrimSpace(printFields(v.Message())) + "}"
	case protoreflect.BytesKind:
		var out []string
		for b := v.Bytes(); len(b) >= 16; b = b[16:] {
			out = append(out, printID(protocol.ID(b)))
		}
		return strings.Join(out, ",")
	}
	return v.String()
}

// printID is the form that commands take: a letter and a number.
func printID(id protocol.ID) string {
	if id.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%c%d", id[0], id[15])
}

func result(code int16, message *string) string {
	if message == nil {
		return errorName(code)
	}
	return errorName(code) + ": " + *message
}

func printReply(reply kmsg.Response) string {
	var b strings.Builder
	switch r := reply.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			fmt.Fprintf(&b, "%s: %s", t.Topic, result(t.ErrorCode, t.ErrorMessage))
			if t.ErrorCode == 0 {
				fmt.Fprintf(&b, " id=%s partitions=%d factor=%d%s", printID(t.TopicID), t.NumPartitions, t.ReplicationFactor, printConfigs(t.Configs))
			}
			b.WriteString("\n")
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range r.Topics {
			name := "-"
			if t.Topic != nil {
				name = *t.Topic
			}
			fmt.Fprintf(&b, "%s %s: %s\n", name, printID(t.TopicID), result(t.ErrorCode, t.ErrorMessage))
		}
	case *kmsg.CreatePartitionsResponse:
		for _, t := range r.Topics {
			fmt.Fprintf(&b, "%s: %s\n", t.Topic, result(t.ErrorCode, t.ErrorMessage))
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, t := range r.Resources {
			fmt.Fprintf(&b, "%d %q: %s\n", t.ResourceType, t.ResourceName, result(t.ErrorCode, t.ErrorMessage))
		}
	case *kmsg.AlterConfigsResponse:
		for _, t := range r.Resources {
			fmt.Fprintf(&b, "%d %q: %s\n", t.ResourceType, t.ResourceName, result(t.ErrorCode, t.ErrorMessage))
		}
	case *kmsg.BrokerRegistrationResponse:
		fmt.Fprintf(&b, "%s epoch=%d\n", errorName(r.ErrorCode), r.BrokerEpoch)
	case *kmsg.AllocateProducerIDsResponse:
		fmt.Fprintf(&b, "%s start=%d count=%d\n", errorName(r.ErrorCode), r.ProducerIDStart, r.ProducerIDLen)
	case *kmsg.BrokerHeartbeatResponse:
		fmt.Fprintf(&b, "%s caught_up=%t fenced=%t stop=%t\n", errorName(r.ErrorCode), r.IsCaughtUp, r.IsFenced, r.ShouldShutdown)
	case *kmsg.UnregisterBrokerResponse:
		fmt.Fprintln(&b, result(r.ErrorCode, r.ErrorMessage))
	case *kmsg.ControllerRegistrationResponse:
		fmt.Fprintln(&b, result(r.ErrorCode, r.ErrorMessage))
	case *kmsg.UnregisterControllerResponse:
		fmt.Fprintln(&b, result(r.ErrorCode, r.ErrorMessage))
	case *JoinResponse:
		fmt.Fprintf(&b, "%s: node %d\n", result(protocol.ErrorCode(r.Err), protocol.ErrorMessage(r.Err)), r.ID)
	case *kmsg.UpdateFeaturesResponse:
		fmt.Fprintln(&b, result(r.ErrorCode, r.ErrorMessage))
		for _, f := range r.Results {
			fmt.Fprintf(&b, "%s: %s\n", f.Feature, result(f.ErrorCode, f.ErrorMessage))
		}
	default:
		fmt.Fprintf(&b, "%T\n", r)
	}
	return b.String()
}

// printConfigs shows the configs whose value is not the default, with the number of their source. There must be all of them.
func printConfigs(list []kmsg.CreateTopicsResponseTopicConfig) string {
	if len(list) != len(config.All(config.Topic)) {
		return fmt.Sprintf(" %d configs", len(list))
	}
	var b strings.Builder
	for _, c := range list {
		if c.Source != int8(config.Default) || c.ReadOnly {
			fmt.Fprintf(&b, " %s=%s(%d)", c.Name, *c.Value, c.Source)
		}
	}
	return b.String()
}
