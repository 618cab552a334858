package log

import (
	"log/slog"

	"ottla/protocol"
)

// dropNewer cuts the log where recovery has found an epoch that is newer than the one that begins. Nobody can have led in it: the epoch lies outside a batch's CRC, and a torn or damaged
// tail has passed for sound. If it stayed, the next recovery would find that older epochs follow a newer one, and cut off what the leader appends from now on. What was durable when
// the log was loaded is left alone, and so is everything once an epoch has begun: a call for a leadership that is over must not cut into the next.
func (l *Log) dropNewer(epoch protocol.LeaderEpoch) error {
	if _, found := l.newer(epoch); !found {
		return nil
	}
	return l.reshape(func() error {
		start, found := l.newer(epoch)
		if !found {
			return nil // another call was faster
		}
		l.dir.logger().Warn("log is cut where an epoch begins that is yet to come", slog.String("partition", l.tp.String()), slog.Int64("offset", int64(start)), slog.Int("leader_epoch", int(epoch)))
		before := l.size()
		if err := l.truncate(start); err != nil {
			return err
		}
		l.dir.metrics().cutTail(before - l.size())
		l.newer(epoch) // notes that the epoch has begun
		return nil
	})
}

// newer is where dropNewer has to cut, if anywhere. If not, epoch has begun.
func (l *Log) newer(epoch protocol.LeaderEpoch) (start protocol.Offset, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start = l.epochs.newerThan(epoch)
	found = !l.epochs.begun && start >= protocol.Offset(l.durable.Load()) && start != protocol.NoOffset
	l.epochs.begun = l.epochs.begun || !found
	return start, found
}
