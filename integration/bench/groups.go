package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// offsetsTopic is where brokers keep groups. Its durability is what a commit waits for.
const offsetsTopic = "__consumer_offsets"

// commits is many groups whose members commit once a second and send heartbeats as clients do. Only that is counted, not the joining.
type commits struct {
	groups, size int
	seconds      int
	conns        int // that the members share; 0: each has its own, as clients have
}

// heartbeatSeconds is Kafka's default for clients.
const heartbeatSeconds = 3

func (c commits) run(ctx context.Context, b broker, topic string) (work, error) {
	groups := max(int(float64(c.groups)**scale), 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := awaitCoordinator(ctx, b.address); err != nil {
		return work{}, err
	}
	formed, err := c.form(ctx, b.address, topic, groups)
	if err != nil {
		return work{}, err
	}
	drivers, err := c.drivers(ctx, b.address, topic, formed)
	if err != nil {
		return work{}, err
	}
	did := work{requests: int64(groups * c.size * c.seconds)}
	did.counted, err = spent(b, func() error { return c.drive(ctx, drivers) })
	if err != nil {
		return did, err
	}
	for n, members := range formed {
		members[0].caller = drivers[n%len(drivers)].caller
		if err := disband(members); err != nil {
			return did, err
		}
	}
	return did, nil
}

// formingAtOnce is how many groups form side by side: their members' connections have to fit into Apache Kafka's backlog of 50.
const formingAtOnce = 8

// form gives the members of groups that have settled. Their connections are closed: what follows has its own.
func (c commits) form(ctx context.Context, address, topic string, groups int) ([][]*member, error) {
	formed := make([][]*member, groups)
	g, forming := errgroup.WithContext(ctx)
	g.SetLimit(formingAtOnce)
	for n := range formed {
		g.Go(func() error {
			members, err := connect(forming, address, groupName(topic, n), c.size)
			if err != nil {
				return err
			}
			formed[n] = members
			if err := assemble(forming, members, 100*time.Millisecond); err != nil {
				return err
			}
			for _, m := range members {
				m.conn.Close() // all that was asked has been answered
			}
			return nil
		})
	}
	return formed, g.Wait()
}

// driver sends what some members send, over one connection.
type driver struct {
	*caller
	commits, heartbeats [][]byte // of each member
}

func (c commits) drivers(ctx context.Context, address, topic string, formed [][]*member) ([]*driver, error) {
	n := c.conns
	if n == 0 {
		n = len(formed) * c.size
	}
	drivers := make([]*driver, min(n, len(formed)*c.size))
	for i := range drivers {
		conn, err := call(ctx, address)
		if err != nil {
			return nil, err
		}
		drivers[i] = &driver{caller: conn}
	}
	i := 0
	for _, members := range formed {
		for partition, m := range members {
			d := drivers[i%len(drivers)]
			i++
			d.commits = append(d.commits, encode(commitOf(m, topic, int32(partition))))
			d.heartbeats = append(d.heartbeats, encode(m.heartbeatRequest()))
		}
	}
	return drivers, nil
}

func commitOf(m *member, topic string, partition int32) *kmsg.OffsetCommitRequest {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, 1_000_000
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.Topics = 8, m.group, m.id, m.generation, append(req.Topics, t)
	return req
}

// drive spreads the members over each second.
func (c commits) drive(ctx context.Context, drivers []*driver) error {
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for i, d := range drivers {
		g.Go(func() error {
			pace := time.Second / time.Duration(len(d.commits))
			at := began.Add(pace * time.Duration(i) / time.Duration(len(drivers)))
			for second := range c.seconds {
				for n := range d.commits {
					time.Sleep(time.Until(at))
					at = at.Add(pace)
					if err := d.commit(n); err != nil {
						return err
					}
					if (second+i+n)%heartbeatSeconds != 0 {
						continue
					}
					if err := d.heartbeat(n); err != nil {
						return err
					}
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			return nil
		})
	}
	return g.Wait()
}

var (
	commitKind    = &kmsg.OffsetCommitRequest{Version: 8}
	heartbeatKind = &kmsg.HeartbeatRequest{Version: 4}
)

func (d *driver) commit(n int) error {
	answer, err := d.replay(d.commits[n], commitKind)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return kerr.ErrorForCode(answer.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

func (d *driver) heartbeat(n int) error {
	answer, err := d.replay(d.heartbeats[n], heartbeatKind)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return kerr.ErrorForCode(answer.(*kmsg.HeartbeatResponse).ErrorCode)
}

// crowd is one group that many join at once. They are connected before; only the joining is counted.
type crowd struct {
	size     int
	interval time.Duration // between two heartbeats: how soon a member learns that it has to join anew
}

func (c crowd) run(ctx context.Context, b broker, topic string) (work, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := awaitCoordinator(ctx, b.address); err != nil {
		return work{}, err
	}
	members, err := connect(ctx, b.address, topic, max(int(float64(c.size)**scale), 1))
	if err != nil {
		return work{}, err
	}
	did := work{requests: 1}
	did.counted, err = spent(b, func() error { return assemble(ctx, members, c.interval) })
	if err != nil {
		return did, err
	}
	return did, disband(members)
}
