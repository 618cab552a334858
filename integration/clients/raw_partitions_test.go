//go:build clients

package clients

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// growOf asks for count partitions, the new ones on these brokers if there are any.
func growOf(topic string, count int32, replicas ...[]int32) *kmsg.CreatePartitionsRequest {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	for _, r := range replicas {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: r})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func checkOnly(req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsRequest {
	req.ValidateOnly = true
	return req
}

// partitionsCases are about CreatePartitions.
func partitionsCases() []rawCase {
	cases := each(37, 0, "create partitions", func(x *exchange, v int16) {
		name := fmt.Sprintf("grow-%d", v)
		x.topic(name, 2)
		x.topic(name+"-b", 1)
		x.ask(v, checkOnly(growOf(name, 4)))
		x.ask(v, growOf(name, 3))
		x.settled(name, 3)
		x.ask(v, growOf(name, 4, []int32{1}))
		x.settled(name, 4)
		two := growOf(name, 5)
		two.Topics = append(two.Topics, growOf("never-created", 2).Topics[0], growOf(name+"-b", 2).Topics[0])
		x.ask(v, two)
		x.ask(v, kmsg.NewPtrCreatePartitionsRequest())
	})
	cases = append(cases, rawCase{"create partitions: no time", func(x *exchange) {
		x.topic("grow-late", 1)
		late := growOf("grow-late", 2)
		late.TimeoutMillis = 0
		x.ask(3, late)
	}}, rawCase{"create partitions: too many", func(x *exchange) {
		x.topic("grow-much", 1)
		x.ask(3, checkOnly(growOf("grow-much", 20_000)))
	}})
	return append(cases, each(37, 0, "create partitions: errors", func(x *exchange, v int16) {
		name := fmt.Sprintf("grow-wrong-%d", v)
		x.topic(name, 2)
		for _, count := range []int32{2, 1, 0, -1} {
			x.ask(v, growOf(name, count))
		}
		none := []int32{}
		for _, replicas := range [][][]int32{{{1}, {1}}, {none}, {{7}}, {{1, 1}}, {{1, 7}}, {{-1}}} {
			x.ask(v, growOf(name, 3, replicas...))
		}
		x.ask(v, growOf(name, 4, []int32{1}))
		x.ask(v, growOf(name, 4, []int32{1}, []int32{1, 7}))
		x.ask(v, growOf("never-created", 3))
		x.ask(v, growOf("", 3))
		x.ask(v, growOf("a/b", 3))
		twice := growOf(name, 3)
		twice.Topics = append(twice.Topics, growOf(name, 4).Topics[0])
		x.ask(v, twice)
		x.ask(v, checkOnly(growOf(name, 1)))
		x.ask(v, checkOnly(growOf("never-created", 1)))
	})...)
}
