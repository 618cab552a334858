package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/group/runtime"
	"ottla/protocol"
)

const versionOfNamedProtocol = 5 // of SyncGroup: KIP-559 makes the protocol's type and name mandatory

// maxSaid bounds, in bytes, what is kept of a member's protocols. One protocol of such a size could not be written: a group's record has a megabyte for all of its members.
const maxSaid = 4 << 20

// join answers a JoinGroup: when the generation is complete, or at once with an error.
func (c *Coordinator) join(client protocol.Client, req *kmsg.JoinGroupRequest, done func(kmsg.Response)) {
	answer := func(resp *kmsg.JoinGroupResponse) {
		resp.Version = req.Version
		done(resp)
	}
	refuse := func(err error) {
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.Generation, resp.MemberID, resp.ErrorCode = -1, req.MemberID, protocol.ErrorCode(err)
		answer(resp)
	}
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	switch {
	case req.Group == "":
		refuse(kerr.InvalidGroupID)
		return
	case session < c.Settings.MinSession || session > c.Settings.MaxSession:
		refuse(kerr.InvalidSessionTimeout)
		return
	}
	said := 0
	for n := range req.Protocols {
		said += len(req.Protocols[n].Name) + len(req.Protocols[n].Metadata)
	}
	if said > maxSaid {
		refuse(protocol.Errorf(kerr.InvalidRequest, "a member's protocols are %d bytes, at most %d are kept", said, maxSaid))
		return
	}
	for n := range req.Protocols {
		req.Protocols[n].Metadata = bytes.Clone(req.Protocols[n].Metadata)
	}
	c.write(req.Group, func(s *Shard, now time.Time) runtime.Effects {
		return translated(s.groups.Join(now, client, req, answer))
	}, refuse)
}

// sync answers a SyncGroup: when the leader's assignment is committed, or at once with an error.
func (c *Coordinator) sync(req *kmsg.SyncGroupRequest, done func(kmsg.Response)) {
	answer := func(resp *kmsg.SyncGroupResponse) {
		resp.Version = req.Version
		done(resp)
	}
	refuse := func(err error) {
		resp := kmsg.NewPtrSyncGroupResponse()
		if resp.ErrorCode = protocol.ErrorCode(err); resp.ErrorCode == kerr.CoordinatorLoadInProgress.Code {
			resp.ErrorCode = kerr.RebalanceInProgress.Code // the member cannot wait for what the old coordinator knew: it joins anew
		}
		answer(resp)
	}
	switch {
	case req.Group == "":
		refuse(kerr.InvalidGroupID)
		return
	case req.Version >= versionOfNamedProtocol && (req.ProtocolType == nil || req.Protocol == nil):
		refuse(kerr.InconsistentGroupProtocol)
		return
	}
	for n := range req.GroupAssignment {
		req.GroupAssignment[n].MemberAssignment = bytes.Clone(req.GroupAssignment[n].MemberAssignment)
	}
	c.write(req.Group, func(s *Shard, now time.Time) runtime.Effects {
		return translated(s.groups.Sync(now, req, answer))
	}, refuse)
}

// heartbeat answers a Heartbeat, without the log.
func (c *Coordinator) heartbeat(req *kmsg.HeartbeatRequest, done func(kmsg.Response)) {
	answer := func(err error) {
		done(&kmsg.HeartbeatResponse{Version: req.Version, ErrorCode: protocol.ErrorCode(err)})
	}
	if req.Group == "" {
		answer(kerr.InvalidGroupID)
		return
	}
	c.touch(req.Group, func(s *Shard, now time.Time) {
		answer(s.groups.Heartbeat(now, req))
	}, func(err error) {
		if protocol.ErrorCode(err) == kerr.CoordinatorLoadInProgress.Code {
			err = nil // whether the member is known is not known yet: its session begins when the group is loaded
		}
		answer(err)
	})
}

// leave answers a LeaveGroup once it is committed.
func (c *Coordinator) leave(req *kmsg.LeaveGroupRequest, done func(kmsg.Response)) {
	refuse := func(err error) {
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		resp.ErrorCode = protocol.ErrorCode(err)
		done(resp)
	}
	if req.Group == "" {
		refuse(kerr.InvalidGroupID)
		return
	}
	c.write(req.Group, func(s *Shard, now time.Time) runtime.Effects {
		e, resp := s.groups.Leave(now, req)
		return translated(both(e, runtime.Effects{Committed: func() { done(resp) }, Failed: refuse}))
	}, refuse)
}
