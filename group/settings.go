package group

import (
	"time"

	"ottla/protocol/config"
)

// Settings are what the broker's configuration says of groups.
type Settings struct {
	InitialRebalanceDelay  time.Duration // group.initial.rebalance.delay.ms
	MinSession, MaxSession time.Duration // group.min.session.timeout.ms, group.max.session.timeout.ms
	MaxSize                int           // group.max.size
	MaxMetadata            int           // offset.metadata.max.bytes
	Retention              time.Duration // offsets.retention.minutes
	Linger                 time.Duration // group.coordinator.append.linger.ms; negative: up to the runtime
	RetentionCheck         time.Duration // offsets.retention.check.interval.ms
}

// SettingsOf reads a configuration.
func SettingsOf(v config.Values) Settings {
	ms := func(name string) time.Duration { return time.Duration(v.Int(name)) * time.Millisecond }
	return Settings{
		InitialRebalanceDelay: ms("group.initial.rebalance.delay.ms"),
		MinSession:            ms("group.min.session.timeout.ms"),
		MaxSession:            ms("group.max.session.timeout.ms"),
		Linger:                ms("group.coordinator.append.linger.ms"),
		MaxSize:               int(v.Int("group.max.size")),
		MaxMetadata:           int(v.Int("offset.metadata.max.bytes")),
		Retention:             time.Duration(v.Int("offsets.retention.minutes")) * time.Minute,
		RetentionCheck:        ms("offsets.retention.check.interval.ms"),
	}
}
