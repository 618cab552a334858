package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// caller is a connection with one request in flight.
type caller struct {
	conn net.Conn
	buf  []byte
}

// call connects and introduces itself, as clients do. One that has been answered is no longer in the listener's backlog, which is short in Apache Kafka: thousands that connect
// at once would be reset. The connection lasts no longer than ctx.
func call(ctx context.Context, address string) (*caller, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	c := &caller{conn: conn}
	_, err = c.ask(&kmsg.ApiVersionsRequest{Version: 2})
	return c, err
}

// ask sends a request whose version is set, and reads the answer into its response.
func (c *caller) ask(req kmsg.Request) (kmsg.Response, error) {
	return c.replay(encode(req), req)
}

func encode(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)
}

// replay is ask for a request that was encoded before.
func (c *caller) replay(frame []byte, req kmsg.Request) (kmsg.Response, error) {
	if _, err := c.conn.Write(frame); err != nil {
		return nil, err
	}
	body, err := readFrame(c.conn, c.buf)
	if err != nil {
		return nil, err
	}
	c.buf = body
	resp := req.ResponseKind()
	if resp.IsFlexible() {
		body = body[1:] // header tags
	}
	return resp, resp.ReadFrom(body)
}

// member is one of a group, of the versions that both brokers know.
type member struct {
	*caller
	group, id  string
	generation int32
}

// sessionMs is long: nobody is to be thrown out because the machine is busy.
const sessionMs = 60_000

// join joins until it is in a generation with an assignment.
func (m *member) join(ctx context.Context) error {
	for ctx.Err() == nil {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.MemberID, req.ProtocolType = 5, m.group, m.id, "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = sessionMs, sessionMs
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, 40)}}
		answer, err := m.ask(req)
		if err != nil {
			return err
		}
		joined := answer.(*kmsg.JoinGroupResponse)
		switch err := kerr.ErrorForCode(joined.ErrorCode); {
		case err == kerr.MemberIDRequired:
			m.id = joined.MemberID
			continue
		case err == kerr.CoordinatorLoadInProgress || err == kerr.CoordinatorNotAvailable || err == kerr.NotCoordinator:
			time.Sleep(20 * time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("join %s: %w", m.group, err)
		}
		m.id, m.generation = joined.MemberID, joined.Generation
		switch err := m.sync(joined); {
		case err == kerr.RebalanceInProgress:
		case err != nil:
			return fmt.Errorf("sync %s: %w", m.group, err)
		default:
			return nil
		}
	}
	return ctx.Err()
}

func (m *member) sync(joined *kmsg.JoinGroupResponse) error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, m.group, m.id, m.generation
	for _, other := range joined.Members { // none unless we lead
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: other.MemberID, MemberAssignment: make([]byte, 40)})
	}
	answer, err := m.ask(req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.SyncGroupResponse).ErrorCode)
}

func (m *member) heartbeatRequest() *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 4, m.group, m.id, m.generation
	return req
}

// gathering is a group that forms: it is settled when all of its members hold an assignment of one generation.
type gathering struct {
	settled chan struct{}

	mu          sync.Mutex
	generations []int32
}

func (g *gathering) note(i int, generation int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generations[i] = generation
	for _, other := range g.generations {
		if other != generation {
			return
		}
	}
	close(g.settled)
}

// connect makes size members of a group that have not joined yet, each with a connection of its own.
func connect(ctx context.Context, address, group string, size int) ([]*member, error) {
	members := make([]*member, size)
	for i := range members {
		c, err := call(ctx, address)
		if err != nil {
			return nil, err
		}
		members[i] = &member{caller: c, group: group}
	}
	return members, nil
}

// assemble joins all members at once and returns when their group has settled. A member looks every interval whether it has to join anew.
func assemble(ctx context.Context, members []*member, interval time.Duration) error {
	forming := &gathering{settled: make(chan struct{}), generations: make([]int32, len(members))}
	g, joining := errgroup.WithContext(ctx)
	for i, m := range members {
		g.Go(func() error { return m.settle(joining, forming, i, interval) })
	}
	return g.Wait()
}

func (m *member) settle(ctx context.Context, forming *gathering, i int, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := m.join(ctx); err != nil {
			return err
		}
		forming.note(i, m.generation)
		for current := true; current; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-forming.settled:
				return nil
			case <-tick.C:
			}
			answer, err := m.ask(m.heartbeatRequest())
			if err != nil {
				return err
			}
			err = kerr.ErrorForCode(answer.(*kmsg.HeartbeatResponse).ErrorCode)
			if current = err == nil; err != nil && err != kerr.RebalanceInProgress {
				return fmt.Errorf("heartbeat in %s: %w", m.group, err)
			}
		}
	}
}

// disband makes all members leave at once, so that no later round pays for their end.
func disband(members []*member) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 3, members[0].group
	for _, m := range members {
		leaves := kmsg.NewLeaveGroupRequestMember()
		leaves.MemberID = m.id
		req.Members = append(req.Members, leaves)
	}
	answer, err := members[0].ask(req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.LeaveGroupResponse).ErrorCode)
}

// awaitCoordinator returns when groups have coordinators, whose topic is made by the first who asks.
func awaitCoordinator(ctx context.Context, address string) error {
	c, err := call(ctx, address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for ctx.Err() == nil {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKey = 2, "bench"
		answer, err := c.ask(req)
		if err != nil {
			return err
		}
		if answer.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ctx.Err()
}
