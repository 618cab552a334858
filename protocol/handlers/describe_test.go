package handlers

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func TestAPIVersions(t *testing.T) {
	each(t, 18, func(t *testing.T, b *broker, c *client, v int16) {
		resp := ask[*kmsg.ApiVersionsResponse](c, v, populated(18, v))
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(table()) {
			t.Fatalf("got %+v", resp)
		}
		for i, r := range table() {
			if k := resp.ApiKeys[i]; k.ApiKey != r.key || k.MinVersion != r.advertised || k.MaxVersion != r.max {
				t.Errorf("key %+v, want %+v", k, r.versions)
			}
		}
		if v < 3 {
			return
		}
		wantSupported := map[string][2]int16{"metadata.version": {1, 7}, "transaction.version": {0, 0}}
		if v == 3 {
			delete(wantSupported, "transaction.version")
		}
		supported := map[string][2]int16{}
		for _, f := range resp.SupportedFeatures {
			supported[f.Name] = [2]int16{f.MinVersion, f.MaxVersion}
		}
		if !reflect.DeepEqual(supported, wantSupported) {
			t.Errorf("supported %v, want %v", supported, wantSupported)
		}
		if f := resp.FinalizedFeatures; resp.FinalizedFeaturesEpoch != 41 || len(f) != 1 || f[0].Name != "metadata.version" || f[0].MaxVersionLevel != 7 {
			t.Errorf("finalized %+v at %d", f, resp.FinalizedFeaturesEpoch)
		}
	})
}

func TestAPIVersionsOfTheFuture(t *testing.T) {
	c := newBroker(t).dial(t)
	c.write([]byte{0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff})
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(c.receive(false)); err != nil {
		t.Fatal(err)
	}
	if resp.ErrorCode != kerr.UnsupportedVersion.Code || len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion != 5 {
		t.Errorf("got %+v", resp)
	}
}

func TestAPIVersionsChecksTheCaller(t *testing.T) {
	mine, other := clusterID, "another"
	for _, tt := range []struct {
		version       int16
		name, release string
		cluster       *string
		node          int32
		want          int16
	}{
		{3, "librdkafka", "2.11.0-rc1", nil, -1, 0},
		{3, "", "1", nil, -1, kerr.InvalidRequest.Code},
		{3, "a", "-1", nil, -1, kerr.InvalidRequest.Code},
		{3, "a b", "1", nil, -1, kerr.InvalidRequest.Code},
		{3, "a.", "1", nil, -1, kerr.InvalidRequest.Code},
		{5, "a", "1", &mine, self, 0},
		{5, "a", "1", &other, self, kerr.RebootstrapRequired.Code},
		{5, "a", "1", &mine, 3, kerr.RebootstrapRequired.Code},
		{5, "a", "1", &mine, -1, kerr.InvalidRequest.Code},
		{5, "a", "1", nil, self, kerr.InvalidRequest.Code},
	} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion, req.ClusterID, req.NodeID = tt.name, tt.release, tt.cluster, tt.node
		resp := ask[*kmsg.ApiVersionsResponse](newBroker(t).dial(t), tt.version, req)
		if resp.ErrorCode != tt.want || (len(resp.ApiKeys) == 0) != (tt.want != 0) {
			t.Errorf("%+v: got %+v", tt, resp)
		}
	}
}

func TestDescribeCluster(t *testing.T) {
	each(t, 60, func(t *testing.T, b *broker, c *client, v int16) {
		req := kmsg.NewPtrDescribeClusterRequest()
		resp := ask[*kmsg.DescribeClusterResponse](c, v, req)
		if resp.ErrorCode != 0 || resp.ClusterID != clusterID || resp.ControllerID != self || resp.ClusterAuthorizedOperations != operationsNotAsked || len(resp.Brokers) != 2 ||
			resp.Brokers[0].Host != "h1" || resp.Brokers[0].Port != 9092 || *resp.Brokers[1].Rack != "r1" {
			t.Errorf("got %+v", resp)
		}
		req.IncludeFencedBrokers, req.IncludeClusterAuthorizedOperations = true, true
		resp = ask[*kmsg.DescribeClusterResponse](c, v, req)
		if fenced := len(resp.Brokers) == 3 && resp.Brokers[1].IsFenced; fenced != (v >= 2) {
			t.Errorf("brokers %+v", resp.Brokers)
		}
		if want := int32(1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12); resp.ClusterAuthorizedOperations != want {
			t.Errorf("operations %b, want %b", resp.ClusterAuthorizedOperations, want)
		}
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceCluster, protocol.Cluster.Name)
		if resp = ask[*kmsg.DescribeClusterResponse](c, v, req); resp.ClusterAuthorizedOperations != 0 {
			t.Errorf("denied, but told %b", resp.ClusterAuthorizedOperations)
		}
		if v == 0 {
			return
		}
		for endpoint, want := range map[int8]int16{2: kerr.MismatchedEndpointType.Code, 9: kerr.UnsupportedEndpointType.Code} {
			req.EndpointType = endpoint
			if resp = ask[*kmsg.DescribeClusterResponse](c, v, req); resp.ErrorCode != want || resp.ErrorMessage == nil || len(resp.Brokers) != 0 {
				t.Errorf("endpoint type %d: %+v", endpoint, resp)
			}
		}
	})
}

func configNames(r kmsg.DescribeConfigsResponseResource) map[string]kmsg.DescribeConfigsResponseResourceConfig {
	m := map[string]kmsg.DescribeConfigsResponseResourceConfig{}
	for _, c := range r.Configs {
		m[c.Name] = c
	}
	return m
}

func describe(c *client, v int16, of kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: of, ResourceName: name, ConfigNames: keys}}
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	return ask[*kmsg.DescribeConfigsResponse](c, v, req).Resources[0]
}

func TestDescribeConfigs(t *testing.T) {
	each(t, 32, func(t *testing.T, b *broker, _ *client, v int16) {
		b.controller.image.Store(testImage(configRecord(2, "t", "cleanup.policy", "compact"), configRecord(4, "", "log.segment.bytes", "1048576"), configRecord(4, "1", "message.max.bytes", "5000")))
		with(func() { b.settings.DynamicDefault = b.controller.Image().Config(4, "") })
		with(func() { b.settings.DynamicBroker = b.controller.Image().Config(4, "1") })
		c := b.dial(t)

		topic := describe(c, v, kmsg.ConfigResourceTypeTopic, "t")
		got := configNames(topic)
		for name, want := range map[string]struct {
			value  string
			source kmsg.ConfigSource
		}{
			"cleanup.policy":      {"compact", kmsg.ConfigSourceDynamicTopicConfig},
			"segment.bytes":       {"1048576", kmsg.ConfigSourceDynamicDefaultBrokerConfig},
			"max.message.bytes":   {"5000", kmsg.ConfigSourceDynamicBrokerConfig},
			"retention.ms":        {"77", kmsg.ConfigSourceStaticBrokerConfig},
			"min.insync.replicas": {"1", kmsg.ConfigSourceDefaultConfig},
		} {
			if g := got[name]; g.Value == nil || *g.Value != want.value || g.Source != want.source || g.ReadOnly || len(g.ConfigSynonyms) == 0 || (g.Documentation != nil) != (v >= 3) {
				t.Errorf("%s: got %+v", name, g)
			}
		}
		if v >= 3 && got["segment.bytes"].ConfigType != kmsg.ConfigTypeInt {
			t.Errorf("type %v", got["segment.bytes"].ConfigType)
		}
		if one := describe(c, v, kmsg.ConfigResourceTypeTopic, "t", "segment.bytes", "nope"); len(one.Configs) != 1 || one.Configs[0].Name != "segment.bytes" {
			t.Errorf("one key: %+v", one.Configs)
		}
		own := configNames(describe(c, v, kmsg.ConfigResourceTypeBroker, "1"))
		if g := own["message.max.bytes"]; *g.Value != "5000" || g.ReadOnly || g.Source != kmsg.ConfigSourceDynamicBrokerConfig {
			t.Errorf("broker: %+v", g)
		}
		if g := own["log.dirs"]; !g.ReadOnly {
			t.Errorf("broker: %+v", g)
		}
		for name, g := range own {
			if g.IsSensitive && g.Value != nil {
				t.Errorf("%s is told", name)
			}
		}
		if g := describe(c, v, kmsg.ConfigResourceTypeBroker, ""); len(g.Configs) != 1 || g.Configs[0].Name != "log.segment.bytes" || g.Configs[0].Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
			t.Errorf("defaults: %+v", g)
		}
	})
}

func TestDescribeConfigsErrors(t *testing.T) {
	b := newBroker(t)
	b.authorizer.deny(protocol.OpDescribeConfigs, protocol.ResourceTopic, "denied")
	b.authorizer.deny(protocol.OpDescribeConfigs, protocol.ResourceGroup, "denied")
	c := b.dial(t)
	for _, tt := range []struct {
		of   kmsg.ConfigResourceType
		name string
		want *kerr.Error
	}{
		{kmsg.ConfigResourceTypeTopic, "nope", kerr.UnknownTopicOrPartition},
		{kmsg.ConfigResourceTypeTopic, "a/b", kerr.InvalidTopicException},
		{kmsg.ConfigResourceTypeTopic, "denied", kerr.TopicAuthorizationFailed},
		{kmsg.ConfigResourceTypeBroker, "2", kerr.InvalidRequest},
		{kmsg.ConfigResourceTypeBroker, "x", kerr.InvalidRequest},
		{kmsg.ConfigResourceTypeBrokerLogger, "1", kerr.InvalidRequest},
		{kmsg.ConfigResourceTypeClientMetrics, "1", kerr.InvalidRequest},
		{kmsg.ConfigResourceTypeGroupConfig, "g", kerr.InvalidRequest},
		{kmsg.ConfigResourceTypeGroupConfig, "denied", kerr.GroupAuthorizationFailed},
		{77, "", kerr.InvalidRequest},
	} {
		if got := describe(c, 4, tt.of, tt.name); got.ErrorCode != tt.want.Code || len(got.Configs) != 0 || got.ErrorMessage == nil {
			t.Errorf("%v %q: %+v", tt.of, tt.name, got)
		}
	}
	b.authorizer.deny(protocol.OpDescribeConfigs, protocol.ResourceCluster, protocol.Cluster.Name)
	if got := describe(c, 4, kmsg.ConfigResourceTypeBroker, "1"); got.ErrorCode != kerr.ClusterAuthorizationFailed.Code {
		t.Errorf("got %+v", got)
	}
}

func describePage(c *client, limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) *kmsg.DescribeTopicPartitionsResponse {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit, req.Cursor = limit, cursor
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: n})
	}
	return ask[*kmsg.DescribeTopicPartitionsResponse](c, 0, req)
}

func TestDescribeTopicPartitions(t *testing.T) {
	b := newBroker(t, append(topicRecords("u", 1, 1), topicRecords("__consumer_offsets", 1)...)...)
	c := b.dial(t)
	all := describePage(c, 100, nil)
	if len(all.Topics) != 3 || *all.Topics[0].Topic != "__consumer_offsets" || !all.Topics[0].IsInternal || *all.Topics[2].Topic != "u" || all.NextCursor != nil {
		t.Fatalf("got %+v", all)
	}
	p := all.Topics[1].Partitions
	if all.Topics[1].TopicID != idOf("t") || len(p) != 4 || p[0].LeaderID != 1 || p[0].LeaderEpoch != 5 || !reflect.DeepEqual(p[0].OfflineReplicas, []int32{2}) ||
		!reflect.DeepEqual(p[0].EligibleLeaderReplicas, []int32{2}) || p[3].LeaderID != -1 || p[3].ErrorCode != kerr.LeaderNotAvailable.Code {
		t.Errorf("partitions %+v", p)
	}

	// Page by page the same partitions come, each once.
	type place struct {
		topic     string
		partition int32
	}
	var got []place
	var cursor *kmsg.DescribeTopicPartitionsRequestCursor
	for range 10 {
		page := describePage(c, 3, cursor)
		n := 0
		for _, topic := range page.Topics {
			for _, p := range topic.Partitions {
				got = append(got, place{*topic.Topic, p.Partition})
				n++
			}
		}
		if n > 3 {
			t.Errorf("a page of %d", n)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: page.NextCursor.Topic, Partition: page.NextCursor.Partition}
	}
	if want := []place{{"__consumer_offsets", 0}, {"t", 0}, {"t", 1}, {"t", 2}, {"t", 3}, {"u", 0}, {"u", 1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("pages %v, want %v", got, want)
	}

	if r := describePage(c, 10, nil, "u", "nope", "a/b", "u"); len(r.Topics) != 3 || r.Topics[0].ErrorCode != kerr.InvalidTopicException.Code ||
		r.Topics[1].ErrorCode != kerr.UnknownTopicOrPartition.Code || len(r.Topics[2].Partitions) != 2 {
		t.Errorf("by name: %+v", r)
	}
	if r := describePage(c, 10, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "a"}, "u"); r.Topics[0].ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("foreign cursor: %+v", r)
	}
	if r := describePage(c, 10, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "u", Partition: -1}, "u"); r.Topics[0].ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("negative cursor: %+v", r)
	}
	if r := describePage(c, 10, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "u", Partition: 99}, "u"); len(r.Topics[0].Partitions) != 0 || r.NextCursor != nil {
		t.Errorf("cursor beyond: %+v", r)
	}

	b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "t")
	b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "nope")
	if r := describePage(c, 100, nil); len(r.Topics) != 2 {
		t.Errorf("denied, but listed: %+v", r)
	}
	for _, r := range describePage(c, 100, nil, "t", "nope").Topics {
		if r.ErrorCode != kerr.TopicAuthorizationFailed.Code || r.TopicID != [16]byte{} || len(r.Partitions) != 0 {
			t.Errorf("denied: %+v", r)
		}
	}
}
