package decide

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// checkTopicName refuses what Kafka's Topic.validate refuses, in its words.
func checkTopicName(name string) error {
	if err := protocol.ValidateTopicName(name); err != nil {
		return protocol.Errorf(kerr.InvalidTopicException, "%s", err)
	}
	return nil
}
