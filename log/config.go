package log

import (
	"math"

	"ottla/log/batch"
	"ottla/protocol/config"
)

// Config is the configuration of one partition that is in force, with Kafka's names and units. It is never changed once a Log has it.
type Config struct {
	SegmentBytes, SegmentMs, SegmentJitterMs int64
	SegmentIndexBytes, IndexIntervalBytes    int64
	Durable                                  bool  // ottla.durability is not "memory": the flusher works for every append
	FlushMessages, FlushMs                   int64 // math.MaxInt64: never
	RetentionBytes, RetentionMs              int64 // -1: no limit
	FileDeleteDelayMs                        int64
	MaxMessageBytes                          int
	Compact, Delete                          bool // cleanup.policy
	MinCleanableRatio                        float64
	DeleteRetentionMs                        int64 // of tombstones
	MinCompactionLagMs, MaxCompactionLagMs   int64
	Recompress                               bool // compression.type is not "producer"
	Codec                                    batch.Codec
	Level                                    int // of Codec
	Timestamps                               batch.TimestampRule
}

// ConfigFrom reads the topic configurations that a log follows.
func ConfigFrom(v config.Values) Config {
	c := Config{
		SegmentBytes: v.Int("segment.bytes"), SegmentMs: v.Int("segment.ms"), SegmentJitterMs: v.Int("segment.jitter.ms"),
		SegmentIndexBytes: v.Int("segment.index.bytes"), IndexIntervalBytes: v.Int("index.interval.bytes"),
		Durable:       v.String("ottla.durability") != "memory",
		FlushMessages: v.Int("flush.messages"), FlushMs: v.Int("flush.ms"),
		RetentionBytes: v.Int("retention.bytes"), RetentionMs: v.Int("retention.ms"),
		FileDeleteDelayMs: v.Int("file.delete.delay.ms"),
		MaxMessageBytes:   int(v.Int("max.message.bytes")),
		MinCleanableRatio: v.Float("min.cleanable.dirty.ratio"), DeleteRetentionMs: v.Int("delete.retention.ms"),
		MinCompactionLagMs: v.Int("min.compaction.lag.ms"), MaxCompactionLagMs: v.Int("max.compaction.lag.ms"),
		Timestamps: batch.TimestampRule{
			LogAppendTime: v.String("message.timestamp.type") == "LogAppendTime",
			BeforeMaxMs:   v.Int("message.timestamp.before.max.ms"), AfterMaxMs: v.Int("message.timestamp.after.max.ms"),
		},
	}
	for _, policy := range v.List("cleanup.policy") {
		c.Compact = c.Compact || policy == "compact"
		c.Delete = c.Delete || policy == "delete"
	}
	c.setCompression(v)
	return c
}

func (c *Config) setCompression(v config.Values) {
	name := v.String("compression.type")
	if name == "uncompressed" {
		name = batch.None.String()
	}
	c.Codec, c.Recompress = batch.ParseCodec(name) // "producer" is no codec
	switch c.Codec {
	case batch.Gzip:
		c.Level = int(v.Int("compression.gzip.level"))
	case batch.LZ4:
		c.Level = int(v.Int("compression.lz4.level"))
	case batch.Zstd:
		c.Level = int(v.Int("compression.zstd.level"))
	}
}

// DefaultConfig is Kafka's defaults, durable: for logs that are no topic's, and for tests.
func DefaultConfig() Config {
	return Config{
		SegmentBytes: 1 << 30, SegmentMs: 7 * 24 * 3600 * 1000, SegmentIndexBytes: 10 << 20, IndexIntervalBytes: 4096,
		Durable: true, FlushMessages: math.MaxInt64, FlushMs: math.MaxInt64,
		RetentionBytes: -1, RetentionMs: 7 * 24 * 3600 * 1000, FileDeleteDelayMs: 60_000,
		MaxMessageBytes: 1<<20 + batch.Overhead, Delete: true,
		MinCleanableRatio: 0.5, DeleteRetentionMs: 24 * 3600 * 1000, MaxCompactionLagMs: math.MaxInt64,
		Timestamps: batch.TimestampRule{BeforeMaxMs: math.MaxInt64, AfterMaxMs: 3_600_000},
	}
}
