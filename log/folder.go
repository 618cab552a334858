package log

import (
	"fmt"
	"strconv"
	"strings"

	"ottla/protocol"
)

// Folder is a partition's folder on disk.
type Folder struct {
	Topic     string
	Partition int32
	ID        protocol.TopicID // zero if the folder does not say
	Directory string           // path of the log directory
	Missing   bool             // the folder was made durable once, and is gone
}

// deletedSuffix ends the name of a folder that is to be removed.
const deletedSuffix = "-delete"

// parseFolder reads topic-partition. Topics may contain '-', partitions are decimal without a sign or leading zeros.
func parseFolder(name string) (protocol.TopicPartition, bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return protocol.TopicPartition{}, false
	}
	n, err := strconv.ParseInt(name[at+1:], 10, 32)
	tp := protocol.TopicPartition{Topic: name[:at], Partition: int32(n)}
	if err != nil || n < 0 || tp.String() != name || protocol.ValidateTopicName(tp.Topic) != nil {
		return protocol.TopicPartition{}, false
	}
	return tp, true
}

// deletedFolder is Kafka's name for a folder that is going away: topic-partition.unique-delete, within 255 bytes.
func deletedFolder(tp protocol.TopicPartition, unique protocol.ID) string {
	suffix := fmt.Sprintf("-%d.%x%s", tp.Partition, unique[:], deletedSuffix)
	topic := tp.Topic[:min(len(tp.Topic), 255-len(suffix))]
	return topic + suffix
}

func isDeletedFolder(name string) bool { return strings.HasSuffix(name, deletedSuffix) }
