//go:build clients

package clients

import (
	"encoding/base64"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawNames gives what differs between two brokers without meaning (ids, ports, the time) names that do not, and renders messages with them.
type rawNames struct {
	address   string
	started   time.Time
	topics    map[[16]byte]string
	producers map[int64]string
}

func newRawNames(b *broker) *rawNames {
	return &rawNames{address: b.address, started: time.Now(), topics: map[[16]byte]string{}, producers: map[int64]string{}}
}

// topic names a topic id, for good: a recreated topic's two ids are told apart by name.
func (n *rawNames) topic(id [16]byte, name string) { n.topics[id] = name }

// producer names a producer id.
func (n *rawNames) producer(id int64, name string) { n.producers[id] = name }

// render writes v, one line per field that is not zero.
func (n *rawNames) render(v any) string {
	switch r := v.(type) {
	case *kmsg.ApiVersionsResponse:
		v = comparable18(r)
	case *kmsg.DescribeLogDirsResponse:
		v = comparable35(r)
	case *kmsg.DescribeQuorumResponse:
		v = comparable55(r)
	}
	var b strings.Builder
	n.value(&b, "", "", reflect.ValueOf(v))
	return strings.TrimRight(b.String(), "\n")
}

// comparable18 is r without what one of the two brokers has in addition: the keys and versions that the other does not serve (yet), and the features that come with them.
func comparable18(r *kmsg.ApiVersionsResponse) *kmsg.ApiVersionsResponse {
	c := *r
	c.ApiKeys, c.SupportedFeatures, c.FinalizedFeatures = nil, nil, nil
	for _, k := range r.ApiKeys {
		if _, asked := rawKeys[k.ApiKey]; !asked {
			continue
		}
		if v, lacks := kafkaLacks[k.ApiKey]; lacks {
			k.MaxVersion = min(k.MaxVersion, v)
		}
		c.ApiKeys = append(c.ApiKeys, k)
	}
	return &c
}

var (
	rawTags = reflect.TypeFor[kmsg.Tags]()
	rawID   = reflect.TypeFor[[16]byte]()
)

// unordered are the fields whose order means nothing: those that brokers collect in hash tables.
var unordered = map[string]bool{"ApiKeys": true, "SupportedFeatures": true, "FinalizedFeatures": true, "Configs": true, "ConfigSynonyms": true, "Topics": true, "Resources": true}

// partitionTables are the partitions that brokers collect in hash tables. (Kafka's Fetch answers name failures last, and then its topics again in the order of the request.)
var partitionTables = map[string]bool{"FetchResponseTopicPartition": true, "ProduceResponseTopicPartition": true, "ListOffsetsResponseTopicPartition": true, "DeleteRecordsResponseTopicPartition": true, "OffsetForLeaderEpochResponseTopicPartition": true,
	"DescribeLogDirsResponseDirTopicPartition": true, "ListConfigResourcesResponseConfigResource": true, "ListGroupsResponseGroup": true, "DescribeGroupsResponseGroup": true, "OffsetFetchResponseTopicPartition": true, "OffsetFetchResponseGroupTopicPartition": true}

// oursAlone tells a config that Kafka has no name for.
func oursAlone(v reflect.Value) bool {
	name := v.FieldByName("Name")
	return name.IsValid() && name.Kind() == reflect.String && strings.HasPrefix(name.String(), "ottla.")
}

func (n *rawNames) value(b *strings.Builder, indent, name string, v reflect.Value) {
	if name == "ClusterID" && !v.IsZero() {
		fmt.Fprintf(b, "%sClusterID: CLUSTER\n", indent)
		return
	}
	if name == "Documentation" && !v.IsZero() {
		fmt.Fprintf(b, "%sDocumentation: WORDS\n", indent) // each in its own
		return
	}
	line := func(format string, args ...any) {
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, fmt.Sprintf(format, args...))
	}
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return
	case v.Kind() == reflect.Pointer && v.Elem().Kind() != reflect.Struct:
		line("%q", n.text(fmt.Sprint(v.Elem().Interface())))
	case v.Kind() == reflect.Pointer:
		n.value(b, indent, name, v.Elem())
	case v.Type() == rawTags:
		tags := v.Interface().(kmsg.Tags)
		tags.Each(func(key uint32, value []byte) { line("tag %d %x", key, value) })
	case v.Type() == rawID:
		if id := v.Interface().([16]byte); id != ([16]byte{}) {
			line("%s", n.id(id))
		}
	case v.Kind() == reflect.Struct:
		n.fields(b, indent, name, v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		n.records(b, indent, name, v.Bytes())
	case v.Kind() == reflect.Slice:
		n.list(b, indent, name, v)
	case name == "Version" || v.IsZero():
	case v.Kind() == reflect.String:
		line("%q", n.text(v.String()))
	case v.CanInt():
		line("%s", n.number(name, v.Int()))
	default:
		line("%v", v.Interface())
	}
}

func (n *rawNames) fields(b *strings.Builder, indent, name string, v reflect.Value) {
	if v.IsZero() && name != "-" {
		return
	}
	if name != "" {
		fmt.Fprintf(b, "%s%s\n", indent, name)
		indent += "  "
	}
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		if field == "ErrorMessage" && strings.HasPrefix(v.Type().Name(), "ProduceResponse") {
			continue // Kafka explains some refusals of a batch, ottla all: the codes and the records named have to agree
		}
		n.value(b, indent, field, v.Field(i))
	}
}

// list renders the elements; a list that is there and empty differs from none.
func (n *rawNames) list(b *strings.Builder, indent, name string, v reflect.Value) {
	if !v.IsNil() && v.Len() == 0 {
		fmt.Fprintf(b, "%s%s: []\n", indent, name)
	}
	if v.Len() == 0 {
		return
	}
	if v.Type().Elem().Kind() != reflect.Struct {
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, n.text(fmt.Sprint(v.Interface())))
		return
	}
	items := make([]string, 0, v.Len())
	for i := range v.Len() {
		if oursAlone(v.Index(i)) {
			continue
		}
		var item strings.Builder
		n.value(&item, indent+"  ", "-", v.Index(i))
		items = append(items, item.String())
	}
	if element := v.Type().Elem().Name(); unordered[name] && strings.Contains(element, "Response") || partitionTables[element] {
		slices.Sort(items)
	}
	fmt.Fprintf(b, "%s%s\n%s", indent, name, strings.Join(items, ""))
}

// number renders a number by what it is.
func (n *rawNames) number(field string, i int64) string {
	switch {
	case field == "ErrorCode":
		if err := kerr.TypedErrorForCode(int16(i)); err != nil {
			return err.Message
		}
	case strings.HasSuffix(field, "Timestamp") || field == "LogAppendTime":
		return n.time(i)
	case field == "Port" && strconv.FormatInt(i, 10) == n.port():
		return "PORT"
	case field == "SessionID" && i > 0:
		return "SESSION"
	case field == "FinalizedFeaturesEpoch" && i >= 0, field == "ThrottleMillis":
		return "SOME"
	case field == "ProducerID" && n.producers[i] != "":
		return n.producers[i]
	case field == "ProducerID" && i >= 0:
		return "SOME"
	}
	return strconv.FormatInt(i, 10)
}

// time renders a timestamp: as NOW what a broker read from its clock, with the hours between if a case added some.
func (n *rawNames) time(ms int64) string {
	hours := time.UnixMilli(ms).Sub(n.started).Round(time.Hour)
	switch {
	case hours == 0:
		return "NOW"
	case hours.Abs() <= 3*time.Hour:
		return "NOW" + fmt.Sprintf("%+.0fh", hours.Hours())
	}
	return strconv.FormatInt(ms, 10)
}

// rawTimes finds timestamps in words.
var rawTimes = regexp.MustCompile(`-?\b\d{13,19}\b`)

// rawUUIDs finds what brokers make members' ids different with.
var rawUUIDs = regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// rawQuorumIDs finds the ids of the cluster and of its voters' directories.
var rawQuorumIDs = regexp.MustCompile(`(directoryId=|the cluster id ")[\w-]{22}`)

func (n *rawNames) port() string {
	_, port, err := net.SplitHostPort(n.address)
	if err != nil {
		return ""
	}
	return port
}

func (n *rawNames) id(id [16]byte) string {
	if name := n.topics[id]; name != "" {
		return "ID(" + name + ")"
	}
	return "ID(?)"
}

// text replaces the names of this run within what a broker says in words.
func (n *rawNames) text(s string) string {
	for id, name := range n.topics {
		s = strings.ReplaceAll(s, base64.RawURLEncoding.EncodeToString(id[:]), "ID("+name+")")
	}
	s = rawTimes.ReplaceAllStringFunc(s, func(digits string) string {
		ms, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || ms < -1<<62 {
			return "TIME" // the clock less a limit that is never reached
		}
		return n.time(ms)
	})
	for id, name := range n.producers {
		s = strings.ReplaceAll(s, fmt.Sprintf("producer %d ", id), "producer "+name+" ")
	}
	s = rawUUIDs.ReplaceAllString(s, "UUID")
	s = rawQuorumIDs.ReplaceAllString(s, "${1}ID")
	s = strings.ReplaceAll(s, n.address, "BROKER")
	if port := n.port(); port != "" {
		s = strings.ReplaceAll(s, port, "PORT")
	}
	return s
}
