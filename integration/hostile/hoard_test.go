package hostile

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
	"ottla/protocol"
)

// fetching is a Fetch that opens a session for partition 0 of a topic and does not wait.
func fetching(topic string) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionEpoch, req.MaxBytes = 11, 0, 1<<20
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	tp := kmsg.NewFetchRequestTopic()
	tp.Topic, tp.Partitions = topic, append(tp.Partitions, p)
	req.Topics = append(req.Topics, tp)
	return req
}

// TestJ18FetchSessions: who opens sessions and leaves them gets no more than there are slots; others are served without one, and have one again when those are stale.
func TestJ18FetchSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 10
		v := startInBubble(t, with(map[string]string{"max.incremental.fetch.session.cache.slots": fmt.Sprint(slots)}))
		v.serves(t)
		open := func() (session int32) {
			c := v.dial(t)
			defer c.Close()
			resp := kmsg.NewPtrFetchResponse()
			c.ask(t, fetching("good"), resp)
			if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
				t.Fatalf("a fetch without a session: %+v", resp)
			}
			return resp.SessionID
		}
		given := 0
		for range 20 * slots {
			if open() != 0 {
				given++
			}
		}
		if given != slots {
			t.Errorf("%d sessions were given, want %d", given, slots)
		}
		time.Sleep(3 * time.Minute) // beyond min.incremental.fetch.session.eviction.ms
		if open() == 0 {
			t.Error("stale sessions do not give way")
		}
		v.good.Close()
	})
}

// TestJ18ProducerIDs: what a partition remembers of producers that do not come back is forgotten after producer.id.expiration.ms.
func TestJ18ProducerIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hoarded = 2000
		v := startInBubble(t, with(map[string]string{"producer.id.expiration.ms": "3600000"}))
		c := v.dialFor(t, 48*time.Hour)
		seen := map[int64]bool{}
		for range hoarded {
			id := kmsg.NewPtrInitProducerIDResponse()
			req := kmsg.NewPtrInitProducerIDRequest()
			req.Version, req.ProducerID, req.ProducerEpoch = 3, -1, -1
			c.ask(t, req, id)
			if id.ErrorCode != 0 || seen[id.ProducerID] {
				t.Fatalf("producer id %d: %v", id.ProducerID, kerr.ErrorForCode(id.ErrorCode))
			}
			seen[id.ProducerID] = true
			b := batch.NewBuilder()
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = protocol.ProducerID(id.ProducerID), 0, 0
			b.Add(time.Now().UnixMilli(), nil, []byte("once"))
			resp := kmsg.NewPtrProduceResponse()
			c.ask(t, producing(9, 1, "good", b.Build(nil)), resp)
			if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
				t.Fatal(kerr.ErrorForCode(code))
			}
		}
		_ = c.Close()
		adm := kadm.NewClient(v.client(t))
		remembered := func() int {
			described, err := adm.DescribeProducers(t.Context(), kadm.TopicsSet{"good": {0: {}}})
			if err != nil {
				t.Fatal(err)
			}
			return len(described["good"].Partitions[0].ActiveProducers)
		}
		if n := remembered(); n != hoarded {
			t.Errorf("%d producers are remembered, want %d", n, hoarded)
		}
		time.Sleep(2 * time.Hour)
		if n := remembered(); n != 0 {
			t.Errorf("%d producers are remembered two hours later", n)
		}
		v.serves(t)
		adm.Close()
		v.good.Close()
	})
}

// joining is a JoinGroup of a consumer.
func joining(version int16, group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = version, group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

// TestJ18GroupMembers: a group takes no more than group.max.size; members that never come back are put out, and then the group is anybody's.
func TestJ18GroupMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 20
		v := startInBubble(t, with(map[string]string{"group.max.size": fmt.Sprint(size)}))
		reader := v.client(t, kgo.ConsumerGroup("warm"), kgo.ConsumeTopics("good")) // the topic of the offsets is there after it
		v.serves(t)
		if f := reader.PollFetches(t.Context()); f.Err() != nil {
			t.Fatal(f.Err())
		}
		reader.Close()
		full := 0
		answers := make(chan int16, 10*size)
		for range 10 * size {
			c := v.dialFor(t, time.Hour)
			go func() {
				resp := kmsg.NewPtrJoinGroupResponse()
				resp.Version = 3
				c.write(kmsg.NewRequestFormatter().AppendRequest(nil, joining(3, "g", ""), 1))
				b, err := c.receive()
				if err == nil {
					err = resp.ReadFrom(b[4:])
				}
				if err != nil {
					resp.ErrorCode = -1
				}
				answers <- resp.ErrorCode
			}()
		}
		for range 10 * size {
			switch code := <-answers; code {
			case kerr.GroupMaxSizeReached.Code:
				full++
			case 0:
			default:
				t.Errorf("%v", kerr.ErrorForCode(code))
			}
		}
		if full != 9*size {
			t.Errorf("%d of %d were refused, want %d", full, 10*size, 9*size)
		}
		time.Sleep(time.Minute)
		adm := kadm.NewClient(v.client(t))
		groups, err := adm.DescribeGroups(t.Context(), "g")
		if err != nil || len(groups["g"].Members) != 0 {
			t.Errorf("%d members stay, %v", len(groups["g"].Members), err)
		}
		if rs, err := adm.DeleteGroups(t.Context(), "g"); err != nil || rs["g"].Err != nil {
			t.Errorf("delete: %v, %v", err, rs["g"].Err)
		}
		adm.Close()
		v.good.Close()
	})
}

// TestJ18MemberIDs: who asks for member ids and never joins with them (KIP-394) is given a bounded number.
func TestJ18MemberIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := startInBubble(t)
		reader := v.client(t, kgo.ConsumerGroup("warm"), kgo.ConsumeTopics("good"))
		v.serves(t)
		if f := reader.PollFetches(t.Context()); f.Err() != nil {
			t.Fatal(f.Err())
		}
		reader.Close()
		c := v.dialFor(t, time.Hour)
		ids := 0
		for range 12_000 {
			resp := kmsg.NewPtrJoinGroupResponse()
			c.ask(t, joining(4, "g", ""), resp)
			if resp.ErrorCode == kerr.MemberIDRequired.Code {
				ids++
			} else if resp.ErrorCode != kerr.CoordinatorNotAvailable.Code {
				t.Fatal(kerr.ErrorForCode(resp.ErrorCode))
			}
		}
		if ids != 10_000 {
			t.Errorf("%d member ids were given", ids)
		}
		time.Sleep(time.Minute)
		resp := kmsg.NewPtrJoinGroupResponse()
		if c.ask(t, joining(4, "g", ""), resp); resp.ErrorCode != kerr.MemberIDRequired.Code {
			t.Errorf("when those are forgotten: %v", kerr.ErrorForCode(resp.ErrorCode))
		}
		_ = c.Close()
		v.good.Close()
	})
}

// TestJ18Connections: an address has so many connections and no more; those that it has go on.
func TestJ18Connections(t *testing.T) {
	const most = 20
	v := startVictim(t, with(map[string]string{"max.connections.per.ip": fmt.Sprint(most)}))
	v.serves(t)
	var held []attacker
	refused := 0
	for range 3 * most {
		c := v.dial(t)
		c.write(kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1))
		if _, err := c.receive(); errors.Is(err, errSilent) {
			t.Fatal(err)
		} else if err != nil {
			refused++
			continue
		}
		held = append(held, c)
	}
	if len(held) >= most || refused <= 2*most { // the good client has some of them
		t.Errorf("%d connections were served, %d refused", len(held), refused)
	}
	v.serves(t)
	for _, c := range held {
		_ = c.Close()
	}
}
