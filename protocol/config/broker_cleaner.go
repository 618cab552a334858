package config

// Compaction.
var cleanerRows = []row{
	{"log.cleaner.enable", Boolean, "true", ReadOnly, applied, nil,
		"Runs compaction."},
	{"log.cleaner.threads", Int, "1", ClusterWide, inert, atLeast(0),
		"Workers that compact logs."},
	{"log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", ClusterWide, applied, nil,
		"Bytes per second that compaction may read and write in sum."},
	{"log.cleaner.dedupe.buffer.size", Long, "134217728", ClusterWide, applied, nil,
		"Memory for the keys of logs that are being compacted, in bytes, over all workers."},
	{"log.cleaner.io.buffer.size", Int, "524288", ClusterWide, inert, atLeast(0),
		"Memory for reading and writing during compaction, in bytes, over all workers."},
	{"log.cleaner.io.buffer.load.factor", Double, "0.9", ClusterWide, inert, nil,
		"How full the table of keys may become: more compacts more at a time, with more collisions."},
	{"log.cleaner.backoff.ms", Long, "15000", ClusterWide, applied, atLeast(0),
		"Pause when no log needs compaction. Milliseconds."},
	{"log.cleaner.min.cleanable.ratio", Double, "0.5", ClusterWide, applied, ratio(1),
		"Share of a log that must be new before it is compacted again, unless the topic says otherwise."},
	{"log.cleaner.delete.retention.ms", Long, "86400000", ClusterWide, applied, atLeast(0),
		"How long tombstones are kept unless the topic says otherwise. Milliseconds."},
	{"log.cleaner.min.compaction.lag.ms", Long, "0", ClusterWide, applied, atLeast(0),
		"How long records stay out of compaction unless the topic says otherwise. Milliseconds."},
	{"log.cleaner.max.compaction.lag.ms", Long, maxInt64, ClusterWide, applied, atLeast(1),
		"Longest time that records may escape compaction unless the topic says otherwise. Milliseconds."},
}
