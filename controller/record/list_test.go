package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func of[T any](v T) *T { return &v }

func bytesOf(b byte, count int) []byte { return bytes.Repeat([]byte{b}, count) }

// every is one record of each kind, with every field set, and of those with optional parts one without.
func every() []*Record {
	return []*Record{
		Of(&Cluster{Id: "4L6g3nShT-eMCtK--X86sw"}),
		Of(&ControllerChange{NodeId: 1}),
		Of(&FeatureLevel{Name: "metadata.version", Level: 33}),
		Of(&BrokerRegistration{
			Id: 1, IncarnationId: bytesOf(0x11, 16), Epoch: of(int64(7)), Rack: of("a"), Directories: bytesOf(0x22, 32), Fenced: true,
			Endpoints: []*Endpoint{{Name: "PLAINTEXT", Host: "::1", Port: 9092, SecurityProtocol: 3}},
			Features:  []*FeatureRange{{Name: "metadata.version", Min: 7, Max: 33}},
		}),
		Of(&BrokerRegistration{Id: 2, IncarnationId: bytesOf(0x33, 16)}),
		Of(&BrokerFencing{Id: 1, Epoch: 7, Fenced: true}),
		Of(&BrokerUnregistration{Id: 2, Epoch: 8}),
		Of(&Topic{Name: "orders", Id: bytesOf(0x44, 16), ReplicationChosen: true}),
		Of(&Partition{
			TopicId: bytesOf(0x44, 16), Partition: 3, Replicas: []int32{1, 2, 300}, Directories: bytesOf(0x22, 48), Isr: []int32{1},
			Leader: 1, LeaderEpoch: 5, PartitionEpoch: 6, Elr: []int32{2}, LastKnownElr: []int32{300},
		}),
		Of(&PartitionChange{TopicId: bytesOf(0x44, 16), Partition: 3, Leader: of(int32(-1))}),
		Of(&PartitionChange{
			TopicId: bytesOf(0x44, 16), Isr: &BrokerList{Ids: []int32{1}}, Replicas: &BrokerList{Ids: []int32{1, 2}}, Directories: bytesOf(0, 32),
			Elr: &BrokerList{}, LastKnownElr: &BrokerList{Ids: []int32{2}},
		}),
		Of(&Config{ResourceType: 2, ResourceName: "orders", Name: "retention.ms", Value: of("1000")}),
		Of(&Config{ResourceType: 4, Name: "log.retention.ms"}),
		Of(&ProducerIDs{Next: 2000, BrokerId: 1, BrokerEpoch: 7}),
		Of(&TopicDeletion{TopicId: bytesOf(0x44, 16)}),
		Of(&ControllerRegistration{
			NodeId: 1, RaftId: 1<<63 + 5, DirectoryId: bytesOf(0x22, 16),
			Endpoints: []*Endpoint{{Name: "PLAINTEXT", Host: "::1", Port: 9092, SecurityProtocol: 3}},
			Features:  []*FeatureRange{{Name: Feature, Min: 1, Max: 2}},
		}),
		Of(&ControllerRegistration{NodeId: 2, DirectoryId: bytesOf(0x33, 16)}),
		Of(&ControllerUnregistration{NodeId: 2}),
		Of(&NodeAssignment{NodeId: 3, DirectoryId: bytesOf(0x44, 16)}),
		Of(&BrokerRegistration{Id: 3, IncarnationId: bytesOf(0x33, 16), InControlledShutdown: true}),
		Of(&BrokerFencing{Id: 3, Epoch: 7, InControlledShutdown: true}),
	}
}

func equal(a, b []*Record) bool {
	if len(a) != len(b) {
		return false
	}
	for n := range a {
		if !proto.Equal(a[n], b[n]) {
			return false
		}
	}
	return true
}

func TestListReadsBack(t *testing.T) {
	for _, rs := range [][]*Record{nil, every()[:1], every()} {
		got, err := read(Encode(rs))
		if err != nil || !equal(got, rs) {
			t.Fatalf("%v\n%v\n%v", rs, got, err)
		}
	}
}

// The bytes of a record that is written today must be read for ever, and must not come out differently either: a change of this file is a change of the format.
func TestGoldenBytes(t *testing.T) {
	const name = "testdata/every.hex"
	var b strings.Builder
	for _, r := range every() {
		b.WriteString(string(r.ProtoReflect().WhichOneof(r.ProtoReflect().Descriptor().Oneofs().Get(0)).Name()) + "\n")
		b.WriteString(hex.Dump(Encode([]*Record{r})))
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || b.String() != string(want) {
		t.Fatalf("bytes differ from %s (%v):\n%s", name, err, b.String())
	}
}

func TestEveryKindIsCovered(t *testing.T) {
	seen := map[protowire.Number]bool{}
	for _, r := range every() {
		m := r.ProtoReflect()
		seen[protowire.Number(m.WhichOneof(m.Descriptor().Oneofs().Get(0)).Number())] = true
	}
	if kinds := (&Record{}).ProtoReflect().Descriptor().Fields().Len(); len(seen) != kinds {
		t.Fatalf("%d of %d kinds", len(seen), kinds)
	}
}

// frame is a list of one record of the given bytes.
func frame(body []byte) []byte {
	return protowire.AppendBytes([]byte{FormatVersion, 1}, body)
}

func marshal(t *testing.T, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachRefuses(t *testing.T) {
	future := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	known := marshal(t, Of(&ControllerChange{NodeId: 1}))
	withField := func(kind protowire.Number, m proto.Message) []byte {
		return frame(protowire.AppendBytes(protowire.AppendTag(nil, kind, protowire.BytesType), append(marshal(t, m), future...)))
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":             {nil, ErrMalformed},
		"version 0":           {[]byte{0, 0}, ErrMalformed},
		"version 2":           {[]byte{2, 0}, ErrNewer},
		"no count":            {[]byte{1}, ErrMalformed},
		"count over the end":  {[]byte{1, 200, 1}, ErrMalformed},
		"count over the max":  {append([]byte{1}, protowire.AppendVarint(nil, MaxCount+1)...), ErrMalformed},
		"size over the end":   {[]byte{1, 1, 9, 0}, ErrMalformed},
		"something after":     {append(frame(known), 0), ErrMalformed},
		"empty record":        {frame(nil), ErrMalformed},
		"two kinds":           {frame(append(bytes.Clone(known), known...)), ErrMalformed},
		"newer kind":          {frame(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), nil)), ErrNewer},
		"kind as a number":    {frame(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)), ErrMalformed},
		"newer field":         {withField(2, &ControllerChange{}), ErrNewer},
		"newer nested field":  {frame(marshal(t, newerEndpoint(t))), ErrNewer},
		"newer list field":    {frame(marshal(t, newerList(t))), ErrNewer},
		"short id":            {frame(marshal(t, Of(&TopicDeletion{TopicId: bytesOf(1, 15)}))), ErrMalformed},
		"directories":         {frame(marshal(t, Of(&Partition{TopicId: bytesOf(1, 16), Replicas: []int32{1}}))), ErrMalformed},
		"change directories":  {frame(marshal(t, Of(&PartitionChange{TopicId: bytesOf(1, 16), Replicas: &BrokerList{Ids: []int32{1}}}))), ErrMalformed},
		"odd directories":     {frame(marshal(t, Of(&BrokerRegistration{IncarnationId: bytesOf(1, 16), Directories: bytesOf(1, 17)}))), ErrMalformed},
		"port":                {frame(marshal(t, Of(&BrokerRegistration{IncarnationId: bytesOf(1, 16), Endpoints: []*Endpoint{{Port: 1 << 31}}}))), ErrMalformed},
		"feature range":       {frame(marshal(t, Of(&BrokerRegistration{IncarnationId: bytesOf(1, 16), Features: []*FeatureRange{{Max: 1 << 15}}}))), ErrMalformed},
		"feature level":       {frame(marshal(t, Of(&FeatureLevel{Level: -1}))), ErrMalformed},
		"negative partition":  {frame(marshal(t, Of(&PartitionChange{TopicId: bytesOf(1, 16), Partition: -1}))), ErrMalformed},
		"resource type":       {frame(marshal(t, Of(&Config{ResourceType: 128}))), ErrMalformed},
		"not UTF-8":           {frame([]byte{0x0a, 3, 0x0a, 1, 0xff}), ErrMalformed},
		"short directory id":  {frame(marshal(t, Of(&ControllerRegistration{DirectoryId: bytesOf(1, 15)}))), ErrMalformed},
		"controller's port":   {frame(marshal(t, Of(&ControllerRegistration{DirectoryId: bytesOf(1, 16), Endpoints: []*Endpoint{{Port: 1 << 31}}}))), ErrMalformed},
		"too many endpoints":  {frame(manyEndpoints()), ErrMalformed},
		"larger than the max": {make([]byte, MaxSize+1), ErrMalformed},
	} {
		if got, err := read(c.in); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func newerEndpoint(t *testing.T) *Record {
	e := &Endpoint{}
	if err := proto.Unmarshal([]byte{0x7a, 0}, e); err != nil {
		t.Fatal(err)
	}
	return Of(&BrokerRegistration{IncarnationId: bytesOf(1, 16), Endpoints: []*Endpoint{e}})
}

func newerList(t *testing.T) *Record {
	l := &BrokerList{}
	if err := proto.Unmarshal([]byte{0x7a, 0}, l); err != nil {
		t.Fatal(err)
	}
	return Of(&PartitionChange{TopicId: bytesOf(1, 16), Isr: l})
}

// manyEndpoints is a broker with more empty endpoints (tag and size, two bytes each) than a list may have messages.
func manyEndpoints() []byte {
	body := bytes.Repeat([]byte{0x22, 0}, MaxCount+1)
	return protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), body)
}

func TestEncodeRefusesLongLists(t *testing.T) {
	for name, rs := range map[string][]*Record{
		"count": make([]*Record, MaxCount+1),
		"size":  {Of(&Config{Value: of(strings.Repeat("x", MaxSize))})},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Encode(rs)
		}()
	}
}

func TestSplitKeepsOrderAndLimits(t *testing.T) {
	var rs []*Record
	for n := range 50_000 {
		size := 10
		if n < 300 {
			size = 32_767
		}
		rs = append(rs, Of(&Config{Name: strings.Repeat("k", n%7), Value: of(strings.Repeat("v", size))}))
	}
	var joined []*Record
	lists := 0
	for list := range Split(rs) {
		Encode(list) // within the limits
		joined = append(joined, list...)
		lists++
	}
	if !equal(joined, rs) || lists < 3 {
		t.Fatalf("%d records in %d lists, want %d", len(joined), lists, len(rs))
	}
	for range Split(nil) {
		t.Fatal("a list out of nothing")
	}
	for range Split(rs) {
		break
	}
}

func TestOfRefusesWhatIsNoKind(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	Of(&Endpoint{})
}

// read is every record of a list, copied: Each uses them again.
func read(b []byte) (rs []*Record, err error) {
	err = Each(b, func(r *Record) { rs = append(rs, proto.CloneOf(r)) })
	if err != nil {
		return nil, err
	}
	return rs, nil
}

// FuzzEach: no panic, errors of the two kinds only, allocation within what Each promises, and what is read is written the same.
func FuzzEach(f *testing.F) {
	f.Add(Encode(every()))
	for _, r := range every() {
		f.Add(Encode([]*Record{r}))
	}
	f.Add([]byte{1, 1, 2, 0x22, 0})
	f.Add(Encode(partitions()[:100]))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := checkAllocation(t, b)
		rs, _ := read(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewer) || rs != nil {
				t.Fatalf("%v, %v", rs, err)
			}
			return
		}
		again, err := read(Encode(rs))
		if err != nil || !equal(again, rs) {
			t.Fatalf("%v\n%v\n%v", rs, again, err)
		}
	})
}

func checkAllocation(t *testing.T, b []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := Each(b, func(*Record) {})
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+4*len(b)); used > most {
		t.Errorf("%d bytes allocated for %d, at most %d allowed", used, len(b), most)
	}
	return err
}

// TestAllocationIsBounded reads lists that are small on disk for what is in them.
func TestAllocationIsBounded(t *testing.T) {
	id := bytesOf(1, 16)
	for name, r := range map[string]*Record{
		"empty":      Of(&ControllerChange{}),
		"partition":  partitions()[0],
		"change":     Of(&PartitionChange{TopicId: id, Isr: &BrokerList{}, Replicas: &BrokerList{}, Elr: &BrokerList{}, LastKnownElr: &BrokerList{}, Leader: of(int32(0))}),
		"config":     Of(&Config{Value: of("")}),
		"broker":     Of(&BrokerRegistration{IncarnationId: id, Epoch: of(int64(0)), Rack: of(""), Endpoints: []*Endpoint{{}, {}, {}}, Features: []*FeatureRange{{}, {}}}),
		"controller": Of(&ControllerRegistration{DirectoryId: id, RaftId: 1, Endpoints: []*Endpoint{{}, {}, {}}, Features: []*FeatureRange{{}, {}}}),
		"long list":  Of(&Partition{TopicId: id, Isr: make([]int32, 100_000)}),
	} {
		t.Run(name, func(t *testing.T) {
			rs := slices.Repeat([]*Record{r}, 5_000)
			if name == "long list" {
				rs = rs[:3]
			}
			if err := checkAllocation(t, Encode(rs)); err != nil {
				t.Error(err)
			}
		})
	}
}

func BenchmarkEncodePartitions(b *testing.B) {
	rs := partitions()
	b.ReportAllocs()
	for b.Loop() {
		Encode(rs)
	}
}

func BenchmarkEachPartitions(b *testing.B) {
	in := Encode(partitions())
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Each(in, func(*Record) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func partitions() (rs []*Record) {
	for n := range 10_000 {
		rs = append(rs, Of(&Partition{
			TopicId: bytesOf(1, 16), Partition: int32(n), Replicas: []int32{1, 2, 3}, Isr: []int32{1, 2, 3}, Directories: bytesOf(2, 48), Leader: 1,
		}))
	}
	return rs
}
