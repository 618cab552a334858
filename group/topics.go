package group

import "ottla/protocol"

// Topics is what coordinators ask about the topics that groups read. The answers come from memory and at once, but for Timestamp's.
type Topics interface {
	// ID is the id of the topic that has the name now; ok is false if there is none.
	ID(name string) (id protocol.TopicID, ok bool)
	// Name is the reverse of ID.
	Name(id protocol.TopicID) (name string, ok bool)
	// Bounds are a partition's log start offset and high watermark. known is false if this broker cannot tell, because another leads the partition or it does not exist.
	Bounds(tp protocol.TopicPartition) (start, end protocol.Offset, known bool)
	// Timestamp is that of the first record at or after the offset, in milliseconds since 1970. It may read a disk. An error is one of the log's: the offset is out of range, say.
	Timestamp(tp protocol.TopicPartition, at protocol.Offset) (int64, error)
	// GroupPartitions is the number of partitions of __consumer_offsets; 0 while it does not exist.
	GroupPartitions() int32
}
