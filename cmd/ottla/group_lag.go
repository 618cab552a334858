package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla/protocol"
)

// unreadPatience bounds the search for the first unread records: a partition may end in records that consumers are not shown, and then there is nothing to wait for.
const unreadPatience = 3 * time.Second

// firstUnread reads, of each partition where a group lags, one record: the first that the group has not read, and its time is how far behind it is. A partition that gives none in time is left out.
func (f *connection) firstUnread(ctx context.Context, lags []kadm.DescribedGroupLag) (map[string]map[protocol.TopicPartition]time.Time, error) {
	found := map[string]map[protocol.TopicPartition]time.Time{}
	for i := range lags {
		times, err := f.firstUnreadOf(ctx, &lags[i])
		if err != nil {
			return nil, err
		}
		found[lags[i].Group] = times
	}
	return found, nil
}

func (f *connection) firstUnreadOf(ctx context.Context, l *kadm.DescribedGroupLag) (map[protocol.TopicPartition]time.Time, error) {
	offsets, missing := map[string]map[int32]kgo.Offset{}, map[protocol.TopicPartition]bool{}
	for _, p := range l.Lag.Sorted() {
		if p.Err != nil || p.Lag <= 0 {
			continue
		}
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = map[int32]kgo.Offset{}
		}
		offsets[p.Topic][p.Partition] = kgo.NewOffset().At(max(p.Commit.At, p.Start.Offset))
		missing[protocol.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = true
	}
	times := map[protocol.TopicPartition]time.Time{}
	if len(missing) == 0 {
		return times, nil
	}
	// One byte of each partition: a broker answers with one batch, however large.
	cl, err := f.client(ctx, kgo.ConsumePartitions(offsets), kgo.FetchMaxPartitionBytes(1), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, unreadPatience)
	defer cancel()
	for len(missing) > 0 && ctx.Err() == nil {
		pause := map[string][]int32{}
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			tp := protocol.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			if missing[tp] {
				times[tp] = r.Timestamp
				delete(missing, tp)
				pause[r.Topic] = append(pause[r.Topic], r.Partition)
			}
		})
		cl.PauseFetchPartitions(pause)
	}
	return times, nil
}

// lagTable is one row a partition. What is not known is nil.
func lagTable(lags []kadm.DescribedGroupLag, first map[string]map[protocol.TopicPartition]time.Time) table {
	t := table{columns: []string{"group", "topic", "partition", "committed", "end", "lag", "lag seconds", "member", "client", "host"}}
	now := time.Now()
	for _, l := range lags {
		for _, p := range l.Lag.Sorted() {
			var committed, end, behind, member, client, host any
			if p.Commit.At >= 0 {
				committed = p.Commit.At
			}
			if p.End.Err == nil {
				end = p.End.Offset
			}
			if p.Lag >= 0 {
				behind = p.Lag
			}
			if p.Member != nil {
				member, client, host = p.Member.MemberID, p.Member.ClientID, p.Member.ClientHost
			}
			t.rows = append(t.rows, []any{l.Group, p.Topic, p.Partition, committed, end, behind, lagSeconds(&p, first[l.Group], now), member, client, host})
		}
	}
	return t
}

// lagSeconds is how long ago the first unread record was written; 0 for a group that has read all, nil where it is not known.
func lagSeconds(p *kadm.GroupMemberLag, first map[protocol.TopicPartition]time.Time, now time.Time) any {
	at, known := first[protocol.TopicPartition{Topic: p.Topic, Partition: p.Partition}]
	switch {
	case p.Lag == 0:
		return 0.0
	case !known:
		return nil
	}
	return max(0, now.Sub(at).Round(time.Millisecond).Seconds()) // producers' clocks may be ahead
}
