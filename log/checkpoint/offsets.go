package checkpoint

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"

	"ottla/log/vfs"
	"ottla/protocol"
)

// Names of a log directory's offset tables. Each holds one offset per partition.
const (
	RecoveryPoints = "recovery-point-offset-checkpoint" // below it everything is on disk: recovery after a crash begins there
	LogStarts      = "log-start-offset-checkpoint"      // only partitions whose first offset is above their first segment's
	Cleaned        = "cleaner-offset-checkpoint"        // below it every record of a compacted partition was looked at
	HighWatermarks = "replication-offset-checkpoint"
)

// ReadOffsets reads the offset table called name in dir.
func ReadOffsets(fsys vfs.FS, dir, name string) (map[protocol.TopicPartition]protocol.Offset, error) {
	data, err := read(fsys, dir, name, maxTable)
	if err != nil {
		return nil, err
	}
	offsets, err := parseOffsets(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Join(dir, name), err)
	}
	return offsets, nil
}

// parseOffsets reads lines of "topic partition offset".
func parseOffsets(data []byte) (map[protocol.TopicPartition]protocol.Offset, error) {
	offsets := map[protocol.TopicPartition]protocol.Offset{}
	err := parseTable(data, 3, func(fields [][]byte) error {
		topic := string(fields[0])
		if err := protocol.ValidateTopicName(topic); err != nil {
			return malformed("%v", err)
		}
		partition, ok := parseNumber(fields[1], math.MaxInt32)
		if !ok {
			return malformed("partition %q of %s", fields[1], topic)
		}
		tp := protocol.TopicPartition{Topic: topic, Partition: int32(partition)}
		offset, ok := parseNumber(fields[2], math.MaxInt64)
		if !ok {
			return malformed("offset %q of %s", fields[2], tp)
		}
		if _, twice := offsets[tp]; twice {
			return malformed("%s stands twice", tp)
		}
		offsets[tp] = protocol.Offset(offset)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return offsets, nil
}

// WriteOffsets replaces the offset table called name in dir.
func WriteOffsets(fsys vfs.FS, dir, name string, offsets map[protocol.TopicPartition]protocol.Offset) error {
	return replace(fsys, dir, name, appendOffsets(nil, offsets))
}

// appendOffsets writes the lines in order, so that equal tables are equal files.
func appendOffsets(b []byte, offsets map[protocol.TopicPartition]protocol.Offset) []byte {
	partitions := make([]protocol.TopicPartition, 0, len(offsets))
	for tp := range offsets {
		partitions = append(partitions, tp)
	}
	slices.SortFunc(partitions, func(a, b protocol.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	b = appendTableHead(b, len(partitions))
	for _, tp := range partitions {
		b = append(append(b, tp.Topic...), ' ')
		b = append(strconv.AppendInt(b, int64(tp.Partition), 10), ' ')
		b = append(strconv.AppendInt(b, int64(offsets[tp]), 10), '\n')
	}
	return b
}
