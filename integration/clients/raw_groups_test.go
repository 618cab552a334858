//go:build clients

package clients

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupCases are about the groups of the classic protocol. They come last, as they make groups and the topic that groups live in.
func groupCases() []rawCase {
	return slices.Concat(coordinatorCases(), offsetCommitCases(), offsetFetchCases(), offsetDeleteCases(), memberCases(), joinRefusedCases(), staticCases(), listGroupsCases(), deleteGroupsCases())
}

// near is version v of a conversation in the versions that key has.
func near(key, v int16) int16 {
	last := rawKeys[key].max
	if lacks, ok := kafkaLacks[key]; ok {
		last = lacks
	}
	return min(max(v, rawKeys[key].min), last)
}

// coordinated waits until the broker answers for a group. Apache Kafka creates the topic of groups when first asked, and then loads its partitions.
func (x *exchange) coordinated(group string) {
	patiently(group+" has a coordinator", func() error {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey = group
		if c := must[*kmsg.FindCoordinatorResponse](x, 0, find).ErrorCode; c != 0 {
			return kerr.ErrorForCode(c)
		}
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{group}
		return kerr.ErrorForCode(must[*kmsg.DescribeGroupsResponse](x, 0, describe).Groups[0].ErrorCode)
	})
}

// visible waits until a group that somebody joined is committed: until then nobody sees it.
func (x *exchange) visible(group string) {
	patiently(group+" is visible", func() error {
		if g := must[*kmsg.DescribeGroupsResponse](x, 0, describeGroup(group)).Groups[0]; g.State == "Dead" {
			return errors.New("it is dead")
		}
		return nil
	})
}

func coordinatorCases() []rawCase {
	return each(10, 0, "find coordinator", func(x *exchange, v int16) {
		x.coordinated("somebody")
		for _, c := range []struct {
			kind int8
			key  string
		}{{0, "somebody"}, {0, "somebody else"}, {0, ""}, {2, "no share key"}, {9, "somebody"}, {-1, "somebody"}} {
			if v < 1 && c.kind != 0 {
				continue
			}
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = c.kind, c.key, []string{c.key}
			x.ask(v, req)
		}
		if v >= 4 {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKeys = []string{"a", "b", "", "a"}
			x.ask(v, req)
			x.ask(v, kmsg.NewPtrFindCoordinatorRequest())
		}
	})
}

func describeGroup(groups ...string) *kmsg.DescribeGroupsRequest {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = groups
	return req
}

func deleteGroup(groups ...string) *kmsg.DeleteGroupsRequest {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = groups
	return req
}

func listGroupsCases() []rawCase {
	cases := each(16, 0, "list groups", func(x *exchange, v int16) {
		x.inGroup(fmt.Sprintf("list-stable-%d", v), near(11, v))
		x.visible(fmt.Sprintf("list-stable-%d", v))
		x.ask(v, kmsg.NewPtrListGroupsRequest())
		if v < 4 {
			return
		}
		for _, states := range [][]string{{}, {"Stable"}, {"stable", "EMPTY"}, {"Dead"}, {"no state"}, {""}} {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter = states
			x.ask(v, req)
		}
		if v < 5 {
			return
		}
		for _, types := range [][]string{{"classic"}, {"CLASSIC"}, {"consumer"}, {"share"}, {"consumer", "classic"}, {"no type"}, {""}} {
			req := kmsg.NewPtrListGroupsRequest()
			req.TypesFilter = types
			x.ask(v, req)
			req.StatesFilter = []string{"Stable"}
			x.ask(v, req)
		}
	})
	return append(cases, each(15, 0, "describe groups: absent", func(x *exchange, v int16) {
		for _, group := range []string{"absent", "absent-2"} {
			x.coordinated(group)
		}
		x.ask(v, describeGroup("absent", "absent-2", "absent"))
		x.ask(v, describeGroup(""))
		x.ask(v, describeGroup())
		all := describeGroup("absent")
		all.IncludeAuthorizedOperations = v >= 3
		x.ask(v, all)
	})...)
}

func deleteGroupsCases() []rawCase {
	return each(42, 0, "delete groups", func(x *exchange, v int16) {
		simple, stable := fmt.Sprintf("delete-simple-%d", v), fmt.Sprintf("delete-stable-%d", v)
		topic := fmt.Sprintf("deleted-groups-%d", v)
		id := x.topic(topic, 1)
		x.coordinated(simple)
		x.ask(8, commitOf(simple, topic, id, at{0, 5}))
		x.inGroup(stable, 5)
		x.ask(v, deleteGroup("absent"))
		x.ask(v, deleteGroup(stable))
		x.ask(v, deleteGroup(simple, simple))
		x.ask(6, describeGroup(simple))
		x.ask(v, deleteGroup(""))
		x.ask(v, deleteGroup())
	})
}

// inGroup makes a stable group of one member, which stays for its session time-out.
func (x *exchange) inGroup(group string, v int16) (member string, generation int32) {
	x.coordinated(group)
	join := joinOf(group)
	patiently("a member of "+group, func() error {
		r := must[*kmsg.JoinGroupResponse](x, v, join)
		join.MemberID = r.MemberID
		member, generation = r.MemberID, r.Generation
		if r.ErrorCode == 0 && r.LeaderID != r.MemberID {
			return errors.New("it does not lead")
		}
		return kerr.ErrorForCode(r.ErrorCode)
	})
	sync := syncOf(group, member, generation)
	mustCode("sync "+group, must[*kmsg.SyncGroupResponse](x, near(14, v), sync).ErrorCode)
	return member, generation
}
