package decide

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/protocol"
)

// checkTopicName refuses what Kafka's Topic.validate refuses, in the words of its newer releases.
func checkTopicName(name string) error {
	if protocol.ValidateTopicName(name) == nil {
		return nil
	}
	var why string
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == "." || name == "..":
		why = fmt.Sprintf("'%s' is not allowed", name)
	case len(name) > 249:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length 249", name)
	default:
		why = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return protocol.Errorf(kerr.InvalidTopicException, "Topic name is invalid: %s", why)
}
