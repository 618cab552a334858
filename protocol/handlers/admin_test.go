package handlers

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// decideAll answers every item of an administrative request with success.
func decideAll(req kmsg.Request) (kmsg.Response, error) {
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		resp := kmsg.NewPtrCreateTopicsResponse()
		for _, t := range req.Topics {
			o := kmsg.NewCreateTopicsResponseTopic()
			o.Topic, o.TopicID, o.NumPartitions, o.ReplicationFactor = t.Topic, idOf(t.Topic), 4, 1
			resp.Topics = append(resp.Topics, o)
		}
		return resp, nil
	case *kmsg.DeleteTopicsRequest:
		resp := kmsg.NewPtrDeleteTopicsResponse()
		for _, t := range req.Topics {
			o := kmsg.NewDeleteTopicsResponseTopic()
			o.TopicID = t.TopicID
			resp.Topics = append(resp.Topics, o)
		}
		return resp, nil
	case *kmsg.CreatePartitionsRequest:
		resp := kmsg.NewPtrCreatePartitionsResponse()
		for _, t := range req.Topics {
			o := kmsg.NewCreatePartitionsResponseTopic()
			o.Topic = t.Topic
			resp.Topics = append(resp.Topics, o)
		}
		return resp, nil
	case *kmsg.AlterConfigsRequest:
		resp := kmsg.NewPtrAlterConfigsResponse()
		for _, r := range req.Resources {
			o := kmsg.NewAlterConfigsResponseResource()
			o.ResourceType, o.ResourceName = r.ResourceType, r.ResourceName
			resp.Resources = append(resp.Resources, o)
		}
		return resp, nil
	case *kmsg.IncrementalAlterConfigsRequest:
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, r := range req.Resources {
			o := kmsg.NewIncrementalAlterConfigsResponseResource()
			o.ResourceType, o.ResourceName = r.ResourceType, r.ResourceName
			resp.Resources = append(resp.Resources, o)
		}
		return resp, nil
	case *kmsg.DescribeQuorumRequest, *kmsg.UpdateFeaturesRequest, *kmsg.UnregisterBrokerRequest, *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest, *kmsg.UnregisterControllerRequest:
		return req.ResponseKind(), nil
	}
	panic("not administrative")
}

func createRequest(names ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	for _, n := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = n, 4, 1
		req.Topics = append(req.Topics, t)
	}
	return req
}

// codesOf is what became of each name.
func codesOf[T any](answers []T, name func(T) (string, int16)) map[string]int16 {
	m := map[string]int16{}
	for _, a := range answers {
		n, code := name(a)
		if _, twice := m[n]; twice {
			n += " again"
		}
		m[n] = code
	}
	return m
}

func expect(t *testing.T, got, want map[string]int16) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for n, code := range want {
		if c, ok := got[n]; !ok || c != code {
			t.Errorf("%q: got %v (%v), want %v", n, c, kerr.ErrorForCode(c), kerr.ErrorForCode(code))
		}
	}
}

func TestCreateTopics(t *testing.T) {
	each(t, 19, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() { b.controller.decide = decideAll })
		b.authorizer.deny(protocol.OpCreate, protocol.ResourceCluster, protocol.Cluster.Name)
		b.authorizer.deny(protocol.OpCreate, protocol.ResourceTopic, "denied")
		b.authorizer.deny(protocol.OpDescribeConfigs, protocol.ResourceTopic, "blind")
		resp := ask[*kmsg.CreateTopicsResponse](c, v, createRequest("new", "blind", "denied", "twice", "twice", "__cluster_metadata"))
		expect(t, codesOf(resp.Topics, func(o kmsg.CreateTopicsResponseTopic) (string, int16) { return o.Topic, o.ErrorCode }), map[string]int16{
			"new": 0, "blind": 0, "denied": kerr.TopicAuthorizationFailed.Code, "twice": kerr.InvalidRequest.Code, "__cluster_metadata": kerr.InvalidRequest.Code})
		for _, o := range resp.Topics {
			if v >= 7 && (o.TopicID == idOf(o.Topic)) != (o.ErrorCode == 0) {
				t.Errorf("id: %+v", o)
			}
			if told := o.NumPartitions == 4; v >= 5 && told != (o.Topic == "new") {
				t.Errorf("told: %+v", o)
			}
			if v >= 5 && o.Topic == "blind" && o.ConfigErrorCode != kerr.TopicAuthorizationFailed.Code {
				t.Errorf("blind: %+v", o)
			}
		}
		sent := b.controller.requests()[0].(*kmsg.CreateTopicsRequest)
		if len(sent.Topics) != 2 {
			t.Errorf("the controller got %+v", sent.Topics)
		}
	})
}

func TestCreateTopicsWithoutAnAnswer(t *testing.T) {
	b := newBroker(t)
	c := b.dial(t)
	req := createRequest("a", "b")
	req.TimeoutMillis = 1
	resp := ask[*kmsg.CreateTopicsResponse](c, 7, req)
	timedOut := kerr.RequestTimedOut.Code
	names := func(o kmsg.CreateTopicsResponseTopic) (string, int16) { return o.Topic, o.ErrorCode }
	expect(t, codesOf(resp.Topics, names), map[string]int16{"a": timedOut, "b": timedOut})
	var late func(kmsg.Response, error)
	with(func() { late = b.controller.late })
	late(kmsg.NewPtrCreateTopicsResponse(), nil) // nobody waits any more

	with(func() {
		b.controller.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, kerr.NotController }
	})
	resp = ask[*kmsg.CreateTopicsResponse](c, 7, createRequest("a"))
	expect(t, codesOf(resp.Topics, names), map[string]int16{"a": kerr.NotController.Code})

	if resp = ask[*kmsg.CreateTopicsResponse](c, 7, createRequest()); len(resp.Topics) != 0 {
		t.Errorf("nothing asked: %+v", resp)
	}
}

func TestDeleteTopicsByName(t *testing.T) {
	for v := int16(1); v <= 5; v++ {
		b := newBroker(t, append(topicRecords("u", 1), topicRecords("w", 1)...)...)
		with(func() { b.controller.decide = decideAll })
		b.authorizer.deny(protocol.OpDelete, protocol.ResourceCluster, protocol.Cluster.Name)
		b.authorizer.deny(protocol.OpDelete, protocol.ResourceTopic, "u")
		b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "hidden")
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.TopicNames = 10_000, []string{"t", "u", "nope", "hidden", "w", "w"}
		c := b.dial(t)
		resp := ask[*kmsg.DeleteTopicsResponse](c, v, req)
		name := func(o kmsg.DeleteTopicsResponseTopic) (string, int16) { return *o.Topic, o.ErrorCode }
		expect(t, codesOf(resp.Topics, name), map[string]int16{"t": 0, "u": kerr.TopicAuthorizationFailed.Code, "nope": kerr.UnknownTopicOrPartition.Code,
			"hidden": kerr.TopicAuthorizationFailed.Code, "w": kerr.InvalidRequest.Code})

		with(func() { b.settings.Static = map[string]string{"delete.topic.enable": "false"} })
		b.limits.Store(nil)
		want := kerr.TopicDeletionDisabled.Code
		if v < 3 {
			want = kerr.InvalidRequest.Code
		}
		req.TopicNames = []string{"t"}
		expect(t, codesOf(ask[*kmsg.DeleteTopicsResponse](c, v, req).Topics, name), map[string]int16{"t": want})
	}
}

func TestDeleteTopicsByID(t *testing.T) {
	b := newBroker(t, slices.Concat(topicRecords("seen", 1), topicRecords("hidden", 1), topicRecords("both", 1))...)
	with(func() { b.controller.decide = decideAll })
	b.authorizer.deny(protocol.OpDelete, protocol.ResourceCluster, protocol.Cluster.Name)
	for _, n := range []string{"seen", "hidden"} {
		b.authorizer.deny(protocol.OpDelete, protocol.ResourceTopic, n)
	}
	b.authorizer.deny(protocol.OpDescribe, protocol.ResourceTopic, "hidden")
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	name := "both"
	for _, id := range []string{"t", "seen", "hidden", "nope", "both"} {
		o := kmsg.NewDeleteTopicsRequestTopic()
		o.TopicID = idOf(id)
		req.Topics = append(req.Topics, o)
	}
	req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name}, kmsg.DeleteTopicsRequestTopic{}, kmsg.DeleteTopicsRequestTopic{Topic: &name, TopicID: idOf("t")})
	resp := ask[*kmsg.DeleteTopicsResponse](b.dial(t), 6, req)
	type answer struct {
		name string
		id   protocol.TopicID
		code int16
	}
	var got []answer
	for _, o := range resp.Topics {
		a := answer{"", o.TopicID, o.ErrorCode}
		if o.Topic != nil {
			a.name = *o.Topic
		}
		got = append(got, a)
	}
	denied, invalid := kerr.TopicAuthorizationFailed.Code, kerr.InvalidRequest.Code
	want := []answer{
		{"seen", idOf("seen"), denied}, {"", idOf("hidden"), denied}, {"", idOf("nope"), kerr.UnknownTopicID.Code}, {"both", idOf("both"), invalid},
		{"", protocol.TopicID{}, invalid}, {"both", idOf("t"), invalid}, {"t", idOf("t"), 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCreatePartitions(t *testing.T) {
	each(t, 37, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() { b.controller.decide = decideAll })
		b.authorizer.deny(protocol.OpAlter, protocol.ResourceTopic, "denied")
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 10_000
		for _, n := range []string{"t", "denied", "twice", "twice"} {
			req.Topics = append(req.Topics, kmsg.CreatePartitionsRequestTopic{Topic: n, Count: 9})
		}
		name := func(o kmsg.CreatePartitionsResponseTopic) (string, int16) { return o.Topic, o.ErrorCode }
		expect(t, codesOf(ask[*kmsg.CreatePartitionsResponse](c, v, req).Topics, name),
			map[string]int16{"t": 0, "denied": kerr.TopicAuthorizationFailed.Code, "twice": kerr.InvalidRequest.Code})
		with(func() {
			b.controller.decide = func(kmsg.Request) (kmsg.Response, error) { return nil, errString("secret") }
		})
		req.Topics = req.Topics[:1]
		expect(t, codesOf(ask[*kmsg.CreatePartitionsResponse](c, v, req).Topics, name), map[string]int16{"t": kerr.UnknownServerError.Code})
	})
}

func TestIncrementalAlterConfigs(t *testing.T) {
	each(t, 44, func(t *testing.T, b *broker, c *client, v int16) {
		with(func() { b.controller.decide = decideAll })
		b.authorizer.deny(protocol.OpAlterConfigs, protocol.ResourceTopic, "denied")
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		for _, r := range []struct {
			of   kmsg.ConfigResourceType
			name string
		}{{2, "t"}, {2, "denied"}, {2, "twice"}, {2, "twice"}, {4, ""}, {8, "1"}, {16, "m"}, {32, "g"}, {99, "x"}} {
			req.Resources = append(req.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: r.of, ResourceName: r.name})
		}
		name := func(o kmsg.IncrementalAlterConfigsResponseResource) (string, int16) {
			return o.ResourceName, o.ErrorCode
		}
		invalid := kerr.InvalidRequest.Code
		expect(t, codesOf(ask[*kmsg.IncrementalAlterConfigsResponse](c, v, req).Resources, name), map[string]int16{
			"t": 0, "denied": kerr.TopicAuthorizationFailed.Code, "twice": invalid, "twice again": invalid, "": 0, "1": invalid, "m": invalid, "g": invalid, "x": invalid})
		b.authorizer.deny(protocol.OpAlterConfigs, protocol.ResourceCluster, protocol.Cluster.Name)
		req.Resources = req.Resources[4:5]
		expect(t, codesOf(ask[*kmsg.IncrementalAlterConfigsResponse](c, v, req).Resources, name), map[string]int16{"": kerr.ClusterAuthorizationFailed.Code})
	})
}
