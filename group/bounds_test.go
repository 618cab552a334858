package group

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// Whoever asks for member ids and never joins gets so many and no more, of one group, and they are forgotten when their sessions are over.
func TestMemberIDsThatNobodyJoinsWithAreBounded(t *testing.T) {
	s := newScript(t)
	s.bench.wrote = nil
	codes := map[int16]int{}
	ask := func(group string) (code int16) {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis = 9, group, "consumer", 10_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscriptionTo([]string{"t"})}}
		s.bench.c.Submit(protocol.Client{ID: "hostile"}, req, func(resp kmsg.Response) { code = resp.(*kmsg.JoinGroupResponse).ErrorCode })
		return code
	}
	for range 10_005 {
		codes[ask("g")]++
	}
	if codes[kerr.MemberIDRequired.Code] != 10_000 || codes[kerr.CoordinatorNotAvailable.Code] != 5 {
		t.Errorf("answers %v", codes)
	}
	if code := ask("other"); code != kerr.MemberIDRequired.Code {
		t.Errorf("another group is told %v", kerr.ErrorForCode(code))
	}
	s.bench.advance(11 * time.Second)
	if code := ask("g"); code != kerr.MemberIDRequired.Code {
		t.Errorf("after their sessions %v", kerr.ErrorForCode(code))
	}
}

// What a member says of itself is kept for as long as it is there, so it may not be anything.
func TestWhatAMemberSaysIsBounded(t *testing.T) {
	s := newScript(t)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis = 9, "g", "consumer", 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, 3<<20)}, {Name: "sticky", Metadata: make([]byte, 3<<20)}}
	var code int16
	s.bench.c.Submit(protocol.Client{}, req, func(resp kmsg.Response) { code = resp.(*kmsg.JoinGroupResponse).ErrorCode })
	if code != kerr.InvalidRequest.Code {
		t.Errorf("told %v", kerr.ErrorForCode(code))
	}
}

// A reason that a client gives is kept, but not a book of it.
func TestAReasonIsShortened(t *testing.T) {
	s := newScript(t)
	for _, command := range []string{"join a", "join a reason=" + strings.Repeat("ä", 20_000)} {
		s.run(command)
	}
	d, err := s.bench.c.Describe(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Rebalance.Reason); n < 900 || n > 1100 || !strings.HasSuffix(d.Rebalance.Reason, "ä…") {
		t.Errorf("%d bytes: %s", n, d.Rebalance.Reason)
	}
}
