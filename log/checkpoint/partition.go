package checkpoint

import (
	"fmt"
	"path"
	"strings"

	"ottla/log/vfs"
	"ottla/protocol"
)

// PartitionName is the file of a partition's folder that says which topic, among all that had its name, the folder belongs to.
const PartitionName = "partition.metadata"

// The file is two lines, the second without an end:
//
//	version: 0
//	topic_id: WYmdPIVgRpqd4cJ4y4VOMQ
const partitionHead = "version: 0\ntopic_id: "

// ReadPartition reads the topic id in a partition's folder.
func ReadPartition(fsys vfs.FS, dir string) (protocol.TopicID, error) {
	data, err := read(fsys, dir, PartitionName, maxSmall)
	if err != nil {
		return protocol.TopicID{}, err
	}
	id, err := parsePartition(data)
	if err != nil {
		return protocol.TopicID{}, fmt.Errorf("read %s: %w", path.Join(dir, PartitionName), err)
	}
	return id, nil
}

func parsePartition(data []byte) (protocol.TopicID, error) {
	text, ok := strings.CutPrefix(string(data), partitionHead)
	if !ok {
		return protocol.TopicID{}, malformed("version 0 and a topic id are expected")
	}
	id, err := parseID(strings.TrimSuffix(text, "\n"))
	if err != nil {
		return protocol.TopicID{}, err
	}
	if id.IsZero() {
		return protocol.TopicID{}, malformed("topic id is zero")
	}
	return id, nil
}

// parseID takes ids only in the form in which they are written: base64 has others, with line ends and stray bits.
func parseID(text string) (protocol.ID, error) {
	id, err := protocol.ParseID(text)
	if err != nil {
		return protocol.ID{}, malformed("%v", err)
	}
	if id.String() != text {
		return protocol.ID{}, malformed("id %q", text)
	}
	return id, nil
}

// WritePartition replaces the topic id in a partition's folder.
func WritePartition(fsys vfs.FS, dir string, id protocol.TopicID) error {
	return replace(fsys, dir, PartitionName, []byte(partitionHead+id.String()))
}
