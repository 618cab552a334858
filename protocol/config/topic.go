package config

// topicRow is a row and the broker config that it falls back to.
type topicRow struct {
	row
	fallback string // empty: none. Its group of alike configs counts as a whole
}

var compressionTypes = []string{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}

var topicRows = []topicRow{
	{row{"cleanup.policy", List, "delete", ClusterWide, applied, listOf("compact", "delete"),
		"What happens to old records: 'delete' drops whole segments by age and size, 'compact' keeps the newest record of every key, both together do both, empty keeps everything."}, "log.cleanup.policy"},
	{row{"compression.gzip.level", Int, "-1", ClusterWide, applied, gzipLevel,
		"Level used when this broker compresses with gzip, 1 (fast) to 9 (small); -1 is the codec's own default."}, "compression.gzip.level"},
	{row{"compression.lz4.level", Int, "9", ClusterWide, applied, between(1, 17),
		"Level used when this broker compresses with lz4, 1 (fast) to 17 (small)."}, "compression.lz4.level"},
	{row{"compression.type", String, "producer", ClusterWide, applied, oneOf(compressionTypes...),
		"Codec in which batches are stored. 'producer' stores what arrives; any other codec makes the broker compress again what arrives differently."}, "compression.type"},
	{row{"compression.zstd.level", Int, "3", ClusterWide, applied, between(-131072, 22),
		"Level used when this broker compresses with zstd, -131072 (fast) to 22 (small)."}, "compression.zstd.level"},
	{row{"delete.retention.ms", Long, "86400000", ClusterWide, applied, atLeast(0),
		"How long a compacted topic keeps the tombstone of a deleted key, so that a reader who started before can still see it. Milliseconds."}, "log.cleaner.delete.retention.ms"},
	{row{"file.delete.delay.ms", Long, "60000", ClusterWide, applied, atLeast(0),
		"How long the file of a dropped segment stays on disk after it can no longer be found. Milliseconds."}, "log.segment.delete.delay.ms"},
	{row{"flush.messages", Long, maxInt64, ClusterWide, applied, atLeast(1),
		"Forces the log to disk after this many records. A topic with ottla.durability=durable is on disk before a producer with acks=all hears of it, whatever stands here."}, "log.flush.interval.messages"},
	{row{"flush.ms", Long, maxInt64, ClusterWide, applied, atLeast(0),
		"Forces the log to disk when a record has waited this long in memory. Milliseconds."}, "log.flush.interval.ms"},
	{row{"follower.replication.throttled.replicas", List, "", ClusterWide, inert, throttledReplicas("follower.replication.throttled.replicas"),
		"Replicas whose copying is limited on the receiving side: partition:broker pairs, or * for all."}, ""},
	{row{"index.interval.bytes", Int, "4096", ClusterWide, applied, atLeast(0),
		"Bytes of log between two entries of the offset index. Smaller finds a position with less reading and takes more room."}, "log.index.interval.bytes"},
	{row{"leader.replication.throttled.replicas", List, "", ClusterWide, inert, throttledReplicas("leader.replication.throttled.replicas"),
		"Replicas whose copying is limited on the sending side: partition:broker pairs, or * for all."}, ""},
	{row{"local.retention.bytes", Long, "-2", ClusterWide, inert, atLeast(-2),
		"Bytes of a tiered partition that stay on local disk; -2 takes retention.bytes."}, "log.local.retention.bytes"},
	{row{"local.retention.ms", Long, "-2", ClusterWide, inert, atLeast(-2),
		"Milliseconds for which segments of a tiered partition stay on local disk; -2 takes retention.ms."}, "log.local.retention.ms"},
	{row{"max.compaction.lag.ms", Long, maxInt64, ClusterWide, applied, atLeast(1),
		"Longest time that a record of a compacted topic may go without being looked at by compaction. Milliseconds."}, "log.cleaner.max.compaction.lag.ms"},
	{row{"max.message.bytes", Int, "1048588", ClusterWide, applied, atLeast(0),
		"Largest batch that producers may write, in bytes, as it arrives (compressed)."}, "message.max.bytes"},
	{row{"message.timestamp.after.max.ms", Long, "3600000", ClusterWide, applied, atLeast(0),
		"How far a record's own timestamp may lie ahead of the broker's clock. Milliseconds; checked only with CreateTime."}, "log.message.timestamp.after.max.ms"},
	{row{"message.timestamp.before.max.ms", Long, maxInt64, ClusterWide, applied, atLeast(0),
		"How far a record's own timestamp may lie behind the broker's clock. Milliseconds; checked only with CreateTime."}, "log.message.timestamp.before.max.ms"},
	{row{"message.timestamp.type", String, "CreateTime", ClusterWide, applied, oneOf("CreateTime", "LogAppendTime"),
		"Whose clock stamps records: CreateTime keeps the producer's, LogAppendTime puts the broker's at the append."}, "log.message.timestamp.type"},
	{row{"min.cleanable.dirty.ratio", Double, "0.5", ClusterWide, applied, ratio(1),
		"Share of a compacted log that must be new before it is compacted again. Lower saves disk and costs I/O."}, "log.cleaner.min.cleanable.ratio"},
	{row{"min.compaction.lag.ms", Long, "0", ClusterWide, applied, atLeast(0),
		"Time during which a record of a compacted topic is left alone, so that readers see every version. Milliseconds."}, "log.cleaner.min.compaction.lag.ms"},
	{row{"min.insync.replicas", Int, "1", ClusterWide, applied, atLeast(1),
		"Replicas that must be in sync for a write with acks=all to be accepted, and for the high watermark to move."}, "min.insync.replicas"},
	{row{"ottla.durability", String, "durable", ClusterWide, applied, oneOf(durabilities...),
		"When a write counts: 'durable' once it is on the disk of every in-sync replica, 'memory' once it is in their page cache, as in Kafka."}, "ottla.durability"},
	{row{"preallocate", Boolean, "false", ClusterWide, applied, nil,
		"Reserves the disk blocks of a new segment at once."}, "log.preallocate"},
	{row{"remote.log.copy.disable", Boolean, "false", ClusterWide, inert, nil,
		"Stops copying a tiered topic's segments to remote storage; what is there stays readable."}, ""},
	{row{"remote.log.delete.on.disable", Boolean, "false", ClusterWide, inert, nil,
		"Deletes a topic's remote data when tiering is switched off for it."}, ""},
	{row{"remote.storage.enable", Boolean, "false", ClusterWide, inert, nil,
		"Moves old segments of the topic to remote storage."}, ""},
	{row{"retention.bytes", Long, "-1", ClusterWide, applied, nil,
		"Bytes that a partition may hold before its oldest segments are deleted; -1 is no limit."}, "log.retention.bytes"},
	{row{"retention.ms", Long, "604800000", ClusterWide, applied, atLeast(-1),
		"How long records are kept before their segment is deleted. Milliseconds; -1 is for ever."}, "log.retention.ms"},
	{row{"segment.bytes", Int, "1073741824", ClusterWide, applied, atLeast(mebi),
		"Size at which a new segment file begins. Retention works by whole segments."}, "log.segment.bytes"},
	{row{"segment.index.bytes", Int, "10485760", ClusterWide, applied, atLeast(4),
		"Largest offset index of a segment, in bytes; a full index begins a new segment."}, "log.index.size.max.bytes"},
	{row{"segment.jitter.ms", Long, "0", ClusterWide, applied, atLeast(0),
		"Random time taken off segment.ms per segment, so that many partitions do not begin new ones at once. Milliseconds."}, "log.roll.jitter.ms"},
	{row{"segment.ms", Long, "604800000", ClusterWide, applied, atLeast(1),
		"Age at which a segment is closed even if it is not full, so that retention can reach it. Milliseconds."}, "log.roll.ms"},
	{row{"unclean.leader.election.enable", Boolean, "false", ClusterWide, inert, nil,
		"Lets a replica that is not in sync lead when no other is left. Records that were acknowledged may be lost."}, "unclean.leader.election.enable"},
}

func topicTable() []*Definition {
	out := make([]*Definition, 0, len(topicRows))
	for _, r := range topicRows {
		synonyms := synonymsOf(r.fallback)
		if synonyms == nil && r.fallback != "" {
			synonyms = []Synonym{{r.fallback, 1}}
		}
		out = append(out, r.definition(Topic, synonyms))
	}
	return out
}
