package handlers

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/controller/image"
	"ottla/protocol"
)

// unknownTopic is what is wrong with a name that no topic has.
func unknownTopic(name string) error {
	if err := protocol.ValidateTopicName(name); err != nil {
		return protocol.Errorf(kerr.InvalidTopicException, "%s", err)
	}
	return kerr.UnknownTopicOrPartition
}

func brokerIDs(ids []protocol.BrokerID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

// offline is the replicas that cannot serve now: their broker is fenced or gone.
func offline(img *image.Image, replicas []protocol.BrokerID) []int32 {
	out := []int32{}
	for _, id := range replicas {
		if !alive(img, id) {
			out = append(out, int32(id))
		}
	}
	return out
}

// online leaves out what offline lists.
func online(img *image.Image, replicas []protocol.BrokerID) []int32 {
	out := []int32{}
	for _, id := range replicas {
		if alive(img, id) {
			out = append(out, int32(id))
		}
	}
	return out
}
