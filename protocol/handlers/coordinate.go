package handlers

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// coordinate gives req to the groups' coordinators and parks until they answer; answer makes the reply of what they said. An answer that does not come within defaultTimeout, or the end
// of the connection, is COORDINATOR_NOT_AVAILABLE to fail: every client asks again after it.
func coordinate[Resp kmsg.Response](r *request, req kmsg.Request, fail func(error) kmsg.Response, answer func(Resp) kmsg.Response) kmsg.Response {
	return coordinateUntil(r, r.call.Received.Add(defaultTimeout), req, fail, answer)
}

// noDeadline is for calls that the coordinator lets wait for as long as a rebalance takes. It answers each of them in the end, as members that do not come have time-outs of their own.
var noDeadline time.Time

func coordinateUntil[Resp kmsg.Response](r *request, deadline time.Time, req kmsg.Request, fail func(error) kmsg.Response, answer func(Resp) kmsg.Response) kmsg.Response {
	client := protocol.Client{ID: r.call.ClientID, Host: javaAddress(r.call.Conn.IP())}
	p := park(r, deadline, func(resp kmsg.Response, err error) kmsg.Response {
		if err != nil {
			return fail(kerr.CoordinatorNotAvailable)
		}
		return answer(resp.(Resp))
	})
	r.Groups.Submit(client, req, p.calledWith)
	return nil
}

// javaAddress is an address as Java's InetAddress prints one without a name, which is how Kafka shows members' hosts; empty where there is none.
func javaAddress(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		var text [len("/255.255.255.255")]byte
		return string(a.AppendTo(append(text[:0], '/')))
	}
	var b strings.Builder
	bytes := a.As16()
	for i := 0; i < len(bytes); i += 2 {
		separator := ":"
		if i == 0 {
			separator = "/"
		}
		fmt.Fprintf(&b, "%s%x", separator, int(bytes[i])<<8|int(bytes[i+1]))
	}
	return b.String()
}

// offsetTopic resolves a topic whose offsets a group keeps, for a caller who needs op on it. By id, the topic's name is what is authorised, and an id without a topic is UNKNOWN_TOPIC_ID.
func (r *request) offsetTopic(op protocol.Operation, name *string, id protocol.TopicID, byID bool) (partitions int, err error) {
	img := r.Controller.Image()
	if byID {
		t := img.TopicByID(id)
		if t == nil {
			return 0, kerr.UnknownTopicID
		}
		*name = t.Name
	}
	if !r.mayTopic(op, *name) {
		return 0, kerr.TopicAuthorizationFailed
	}
	t := img.Topic(*name)
	if t == nil {
		return 0, kerr.UnknownTopicOrPartition
	}
	return len(t.Partitions), nil
}
