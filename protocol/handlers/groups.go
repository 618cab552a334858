package handlers

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// Groups are the coordinators of consumer groups.
type Groups interface {
	// Submit answers req: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, OffsetDelete, DescribeGroups, ListGroups or DeleteGroups, in the layout of its
	// version. Groups and topics in it are authorised and validated as far as the metadata image can tell; a group that this broker does not coordinate is answered with
	// NOT_COORDINATOR. done is called once, with req's response, from any goroutine, possibly before Submit returns; it must not block. req is the callee's from then on, but
	// not the bytes that its slices alias: those are copied if they are kept.
	//
	// In versions that name topics by id, OffsetCommit and OffsetFetch come with each topic's name as well, and their answers need no more than the names. In OffsetFetch a group's topics are null for
	// all of them, and empty for none. Calls other than JoinGroup and SyncGroup that have no answer after 30 s are given up.
	Submit(c protocol.Client, req kmsg.Request, done func(kmsg.Response))
}
