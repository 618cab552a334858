package group

import (
	"encoding/binary"
	"fmt"
	"time"

	"ottla/group/classic"
	"ottla/group/offsets"
	"ottla/group/runtime"
	"ottla/log/timeline"
	"ottla/protocol"
)

// groupKey is the version of the key of a group; those below are of committed offsets, those above of other kinds of groups.
const groupKey = 2

// Shard is the machine of one partition of __consumer_offsets.
type Shard struct {
	settings Settings
	topics   Topics
	groups   *classic.Groups
	offsets  *offsets.Store
	// nextCheck is when offsets are looked through for expired ones.
	nextCheck time.Time
}

// NewShard is a shard whose log is yet to be replayed. newID makes ids that tell members apart.
func NewShard(s Settings, topics Topics, newID func() string, t *timeline.Timeline) *Shard {
	return &Shard{
		settings: s,
		topics:   topics,
		groups:   classic.New(t, classic.Options{InitialRebalanceDelay: s.InitialRebalanceDelay, MaxSize: s.MaxSize, NewID: newID}),
		offsets:  offsets.New(t),
	}
}

// Apply replays a record. Records about other kinds of groups are skipped.
func (s *Shard) Apply(at protocol.Offset, r runtime.Record) error {
	if len(r.Key) < 2 {
		return fmt.Errorf("record %d of __consumer_offsets: key of %d bytes", at, len(r.Key))
	}
	switch version := int16(binary.BigEndian.Uint16(r.Key)); {
	case version < 0 || version > groupKey:
		return nil
	case version == groupKey:
		if err := s.groups.Apply(r.Key, r.Value, s.offsets.Has); err != nil {
			return fmt.Errorf("record %d of __consumer_offsets: %w", at, err)
		}
	default:
		group, err := s.offsets.Apply(at, r.Key, r.Value)
		if err != nil {
			return fmt.Errorf("record %d of __consumer_offsets: %w", at, err)
		}
		if r.Value != nil {
			s.groups.ApplyOffset(group)
		}
	}
	return nil
}

// Loaded starts the sessions of members.
func (s *Shard) Loaded(now time.Time) runtime.Effects {
	s.nextCheck = now.Add(s.settings.RetentionCheck)
	return translated(s.groups.Loaded(now))
}

// Deadline is when the next session, rebalance or look for expired offsets is due.
func (s *Shard) Deadline() time.Time {
	if d := s.groups.Deadline(); !d.IsZero() && d.Before(s.nextCheck) {
		return d
	}
	return s.nextCheck
}

// Expire does what is due.
func (s *Shard) Expire(now time.Time) runtime.Effects {
	e := s.groups.Expire(now)
	if !now.Before(s.nextCheck) {
		e = both(e, runtime.Effects{Records: s.expireOffsets(now)})
	}
	return translated(e)
}

// Close answers who waits.
func (s *Shard) Close(err error) { s.groups.Close(err) }
