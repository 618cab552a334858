package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Source is the layer that a value comes from; the numbers are DescribeConfigs' wire codes.
type Source int8

const (
	TopicOverride  Source = 1
	DynamicBroker  Source = 2 // set for this broker
	DynamicDefault Source = 3 // set for all brokers
	StaticBroker   Source = 4 // file or command line
	Default        Source = 5
)

// Values finds the value in force of a config among the layers that may set it: names to values, any layer may be nil. The maps are only read.
// A value in a layer has passed Definition.Validate before it was put there.
type Values struct {
	Static         map[string]string // the file, --set
	DynamicDefault map[string]string // of all brokers
	DynamicBroker  map[string]string // of this broker
	Override       map[string]string // of the topic
}

// layers are the broker's layers, strongest first.
func (v Values) layers() [3]layer {
	return [3]layer{{v.DynamicBroker, DynamicBroker}, {v.DynamicDefault, DynamicDefault}, {v.Static, StaticBroker}}
}

type layer struct {
	values map[string]string
	source Source
}

// Value is what holds for d, in d's unit: the topic's own value, else the first synonym that a layer of the broker sets, else the default.
// Source Default with d.HasDefault false is Kafka's null.
func (v Values) Value(d *Definition) (string, Source) {
	if d.Scope == Topic {
		if value, ok := v.Override[d.Name]; ok {
			return value, TopicOverride
		}
		for _, s := range d.Synonyms {
			if value, source, ok := v.broker(s.Name); ok {
				return s.convert(value), source
			}
		}
		return d.Default, Default
	}
	if value, source, ok := v.broker(d.Name); ok {
		return value, source
	}
	return d.Default, Default
}

// broker is the value that a layer sets for exactly this broker config.
func (v Values) broker(name string) (string, Source, bool) {
	for _, l := range v.layers() {
		if value, ok := l.values[name]; ok {
			return value, l.source, true
		}
	}
	return "", 0, false
}

// convert takes a synonym's value into the config's unit. Negative values mean "no limit" in every unit.
func (s Synonym) convert(value string) string {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if s.Scale == 1 || err != nil || n < 0 {
		return value
	}
	return strconv.FormatInt(n*s.Scale, 10)
}

// Entry is a place where a config's value is set, as DescribeConfigs lists them.
type Entry struct {
	Name, Value string
	Source      Source
}

// Synonyms lists all places that set d's value, the one in force first, with the values as they stand there. As in Kafka the list starts at the first synonym's own
// name: retention.ms set through log.retention.hours alone has an empty list.
func (v Values) Synonyms(d *Definition) []Entry {
	var out []Entry
	if d.Scope == Topic {
		if value, ok := v.Override[d.Name]; ok {
			out = append(out, Entry{d.Name, value, TopicOverride})
		}
		if len(d.Synonyms) == 0 {
			return out
		}
		return append(out, v.brokerEntries(d.Synonyms[0].Name, d.Synonyms)...)
	}
	if len(d.Synonyms) == 0 {
		return v.brokerEntries(d.Name, []Synonym{{d.Name, 1}})
	}
	return v.brokerEntries(d.Name, d.Synonyms)
}

// brokerEntries lists where the layers set any of the names, from the first entry called first.
func (v Values) brokerEntries(first string, names []Synonym) []Entry {
	var out []Entry
	add := func(name, value string, source Source) {
		if len(out) > 0 || name == first {
			out = append(out, Entry{name, value, source})
		}
	}
	for _, l := range v.layers() {
		for _, s := range names {
			if value, ok := l.values[s.Name]; ok {
				add(s.Name, value, l.source)
			}
		}
	}
	for _, s := range names {
		if d := Lookup(Broker, s.Name); d != nil && d.HasDefault {
			add(s.Name, d.Default, Default)
		}
	}
	return out
}

// The typed readers take a topic config's name, else a broker config's: where both scopes have the name, both give the same value unless Override sets it.
// A name that the table does not have is a bug of ours and panics; so is a value that never passed Validate. Null reads as zero.

// Int reads a Short, Int or Long.
func (v Values) Int(name string) int64 {
	value := v.read(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config %s: unchecked value: %v", name, err))
	}
	return n
}

// Float reads a Double.
func (v Values) Float(name string) float64 {
	value := v.read(name)
	if value == "" {
		return 0
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		panic(fmt.Sprintf("config %s: unchecked value: %v", name, err))
	}
	return f
}

// Bool reads a Boolean.
func (v Values) Bool(name string) bool { return strings.EqualFold(v.read(name), "true") }

// String reads any type as it is written.
func (v Values) String(name string) string { return v.read(name) }

// List reads a List without its spaces; empty is nil.
func (v Values) List(name string) []string { return splitList(v.read(name)) }

// IsSet tells whether any layer sets the name, or one of its synonyms.
func (v Values) IsSet(name string) bool {
	_, source := v.Value(definition(name))
	return source != Default
}

func (v Values) read(name string) string {
	value, _ := v.Value(definition(name))
	return strings.TrimSpace(value)
}

func definition(name string) *Definition {
	if d := Lookup(Topic, name); d != nil {
		return d
	}
	if d := Lookup(Broker, name); d != nil {
		return d
	}
	panic("config " + name + " is not in the table")
}

// splitList cuts as Kafka does: spaces around the commas go, an empty text has no elements.
func splitList(value string) []string {
	if value = strings.TrimSpace(value); value == "" {
		return nil
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
