package runtime

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// notCoordinator is for whoever asks about a shard that this broker does not lead.
func notCoordinator(topic string, shard int32) error {
	return protocol.Errorf(kerr.NotCoordinator, "this broker does not coordinate %s-%d", topic, shard)
}

// appendError is what a client is told when its records could not be appended, as Kafka's CoordinatorOperationExceptionHelper has it. MESSAGE_TOO_LARGE stays: which answer
// that is depends on the request.
func appendError(err error) error {
	switch {
	case errors.Is(err, kerr.NotEnoughReplicas), errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.RequestTimedOut):
		return fmt.Errorf("%w: append: %w", kerr.CoordinatorNotAvailable, err)
	case lost(err), errors.Is(err, kerr.KafkaStorageError):
		return fmt.Errorf("%w: append: %w", kerr.NotCoordinator, err)
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: append: %w", kerr.MessageTooLarge, err)
	}
	return fmt.Errorf("%w: append: %w", kerr.UnknownServerError, err)
}

// lost tells whether err says that the leadership is over.
func lost(err error) bool {
	return errors.Is(err, kerr.NotLeaderForPartition) || errors.Is(err, kerr.FencedLeaderEpoch) || errors.Is(err, kerr.UnknownLeaderEpoch)
}
