package wire

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"ottla/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// scanProduce collects what a scanner gives in kmsg's type.
func scanProduce(s *ProduceScanner, version int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version = version
	if s.TransactionalID != nil {
		req.TransactionID = kmsg.StringPtr(string(s.TransactionalID))
	}
	req.Acks, req.TimeoutMillis = s.Acks, s.TimeoutMs
	for {
		name, id, ok := s.NextTopic()
		if !ok {
			return req
		}
		topic := kmsg.ProduceRequestTopic{Topic: string(name), TopicID: id}
		for {
			index, records, ok := s.NextPartition()
			if !ok {
				break
			}
			topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: index, Records: records})
		}
		req.Topics = append(req.Topics, topic)
	}
}

// withoutTags drops what scanners do not keep: unknown tags, and the difference between nil and empty arrays.
func withoutTags(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			withoutTags(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == tagsType {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			withoutTags(v.Field(i))
		}
	case reflect.Slice:
		if v.Len() == 0 && v.Type().Elem().Kind() != reflect.Uint8 {
			v.SetZero()
		}
		for i := range v.Len() {
			withoutTags(v.Index(i))
		}
	}
}

func equalRequests(t *testing.T, got, want kmsg.Request) {
	t.Helper()
	withoutTags(reflect.ValueOf(want))
	withoutTags(reflect.ValueOf(got))
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("version %d\n got %+v\nwant %+v", want.GetVersion(), got, want)
	}
}

// compareProduce: what we accept, kmsg decodes to the same.
func compareProduce(t *testing.T, version int16, body []byte) error {
	t.Helper()
	var s ProduceScanner
	if err := s.Reset(version, body); err != nil {
		if _, _, ok := s.NextTopic(); ok {
			t.Fatalf("a topic after %v", err)
		}
		return err
	}
	want := kmsg.NewPtrProduceRequest()
	if err := Decode(want, version, body); err != nil && !errors.Is(err, ErrTooLarge) {
		t.Fatalf("version %d: scanned, but %v", version, err)
	} else if err == nil {
		equalRequests(t, scanProduce(&s, version), want)
		s.Rewind()
		equalRequests(t, scanProduce(&s, version), want)
	}
	return nil
}

func TestProduceScannerReadsWhatKmsgWrites(t *testing.T) {
	r := random(t)
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		for range 50 {
			if err := compareProduce(t, version, encoded(r, keyProduce, version)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestProduceScannerRefuses(t *testing.T) {
	r := random(t)
	var s ProduceScanner
	for _, version := range []int16{-1, 0, 2, 14} {
		if err := s.Reset(version, nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		body := encoded(r, keyProduce, version)
		for n := range body {
			if err := s.Reset(version, body[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("version %d cut to %d of %d: %v", version, n, len(body), err)
			}
		}
		if err := s.Reset(version, append(body, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("version %d with a byte too much: %v", version, err)
		}
	}
}

func TestProduceScannerTellsNullFromEmpty(t *testing.T) {
	for _, version := range []int16{3, 9, 13} {
		req := kmsg.NewPtrProduceRequest()
		req.Version = version
		req.TransactionID = kmsg.StringPtr("")
		req.Topics = []kmsg.ProduceRequestTopic{{Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 1}, {Partition: 2, Records: []byte{}}, {Partition: 3, Records: []byte("abc")}}}}
		var s ProduceScanner
		if err := s.Reset(version, req.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		s.NextTopic()
		_, null, _ := s.NextPartition()
		_, empty, _ := s.NextPartition()
		_, some, _ := s.NextPartition()
		if s.TransactionalID == nil || null != nil || empty == nil || len(empty) != 0 || string(some) != "abc" || cap(some) != 3 {
			t.Errorf("version %d: id %v, records %v, %v, %v of capacity %d", version, s.TransactionalID, null, empty, some, cap(some))
		}
		if _, _, ok := s.NextPartition(); ok {
			t.Error("a fourth partition")
		}
	}
}

func TestProduceScannerSkipsPartitions(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	for range 3 {
		req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{Topic: "t", Partitions: make([]kmsg.ProduceRequestTopicPartition, 4)})
	}
	var s ProduceScanner
	if err := s.Reset(9, req.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	topics := 0
	for {
		name, _, ok := s.NextTopic()
		if !ok {
			break
		}
		if string(name) != "t" || s.Partitions() != 4 {
			t.Fatalf("topic %q with %d partitions", name, s.Partitions())
		}
		for range topics {
			s.NextPartition()
		}
		topics++
	}
	if topics != 3 || s.Topics != 3 {
		t.Fatalf("%d topics", topics)
	}
}

func FuzzProduceScanner(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		f.Add(version, encoded(r, keyProduce, version))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		_ = compareProduce(t, version, body)
	})
}

// produceBody is a version 9 body of a topic with n partitions of 1 KiB each.
func produceBody(n int) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "topic", Partitions: make([]kmsg.ProduceRequestTopicPartition, n)}}
	for i := range n {
		req.Topics[0].Partitions[i] = kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: make([]byte, 1024)}
	}
	return req.AppendTo(nil)
}

func readAllProduce(s *ProduceScanner, body []byte) (sum int32, id protocol.TopicID) {
	_ = s.Reset(9, body)
	for {
		_, id, ok := s.NextTopic()
		if !ok {
			return sum, id
		}
		for {
			index, records, ok := s.NextPartition()
			if !ok {
				break
			}
			sum += index + int32(len(records))
		}
	}
}

func TestProduceScannerAllocatesNothing(t *testing.T) {
	var s ProduceScanner
	body := produceBody(100)
	if n := testing.AllocsPerRun(100, func() { readAllProduce(&s, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkProduceScanner(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(partitionsName(n), func(b *testing.B) {
			var s ProduceScanner
			body := produceBody(n)
			b.ReportAllocs()
			for b.Loop() {
				readAllProduce(&s, body)
			}
		})
	}
}
