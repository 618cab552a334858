package config

import (
	"slices"
	"testing"
)

func TestTypedReaders(t *testing.T) {
	v := Values{
		Static:         map[string]string{"log.retention.hours": "2", "auto.create.topics.enable": " FALSE ", "log.dirs": " /a, /b ", "message.max.bytes": " 7 "},
		DynamicDefault: map[string]string{"log.cleaner.min.cleanable.ratio": "0.25"},
		Override:       map[string]string{"segment.bytes": "+1048577"},
	}
	for name, want := range map[string]int64{
		"retention.ms": 7_200_000, "log.retention.ms": 0, "log.retention.hours": 2, "max.message.bytes": 7, "segment.bytes": 1_048_577, "log.segment.bytes": 1 << 30,
		"segment.ms": 604_800_000, "retention.bytes": -1,
	} {
		if got := v.Int(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if v.Bool("auto.create.topics.enable") || !v.Bool("delete.topic.enable") {
		t.Error("booleans")
	}
	if got := v.List("log.dirs"); !slices.Equal(got, []string{"/a", "/b"}) || v.List("metric.reporters") == nil || v.List("cordoned.log.dirs") != nil {
		t.Errorf("lists: %q", got)
	}
	if v.String("min.cleanable.dirty.ratio") != "0.25" || v.String("compression.type") != "producer" {
		t.Error("String")
	}
	if !v.IsSet("retention.ms") || v.IsSet("segment.ms") || !v.IsSet("segment.bytes") || v.IsSet("log.segment.bytes") {
		t.Error("IsSet")
	}
}

func TestConversionKeepsNoLimit(t *testing.T) {
	for hours, want := range map[string]int64{"-1": -1, "0": 0, "1": 3_600_000, "2147483647": 2147483647 * 3_600_000} {
		v := Values{Static: map[string]string{"log.retention.hours": hours}}
		if got := v.Int("retention.ms"); got != want {
			t.Errorf("%s hours are %d ms, want %d", hours, got, want)
		}
	}
}

func TestReadersPanicOnOurBugs(t *testing.T) {
	for what, read := range map[string]func(){
		"an unknown name":    func() { Values{}.Int("no.such") },
		"an unchecked value": func() { Values{Static: map[string]string{"num.partitions": "x"}}.Int("num.partitions") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", what)
				}
			}()
			read()
		}()
	}
}

// TestValueIsTheStrongestLayer compares Value with the plain rule, for one broker config and the topic config that falls back to it.
func TestValueIsTheStrongestLayer(t *testing.T) {
	topic, broker := Lookup(Topic, "max.message.bytes"), Lookup(Broker, "message.max.bytes")
	for set := range 16 {
		var v Values
		want, wantSource := broker.Default, Default
		put := func(bit int, layer *map[string]string, name, value string, source Source) {
			if set&bit != 0 {
				*layer = map[string]string{name: value}
				want, wantSource = value, source
			}
		}
		put(1, &v.Static, broker.Name, "1", StaticBroker)
		put(2, &v.DynamicDefault, broker.Name, "2", DynamicDefault)
		put(4, &v.DynamicBroker, broker.Name, "3", DynamicBroker)
		if got, source := v.Value(broker); got != want || source != wantSource {
			t.Errorf("layers %04b: broker %s from %d, want %s from %d", set, got, source, want, wantSource)
		}
		put(8, &v.Override, topic.Name, "4", TopicOverride)
		if got, source := v.Value(topic); got != want || source != wantSource {
			t.Errorf("layers %04b: topic %s from %d, want %s from %d", set, got, source, want, wantSource)
		}
		if list := v.Synonyms(topic); list[0].Value != want || list[0].Source != wantSource || list[len(list)-1].Source != Default {
			t.Errorf("layers %04b: synonyms %v", set, list)
		}
	}
}
