package quorum

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/controller/decide"
	"ottla/controller/image"
	"ottla/controller/record"
	"ottla/protocol"
)

// TestPlan reads members as words: a raft id and what it is. v voter, l learner; ! silent for too long, ? not heard of lately, ~ behind. 101 leads; raft id 100 + n is node n's, 200 + n is node n's after
// its disk was lost. Registered are the node ids' raft ids of the second column.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, members, registered string
		want                      int
		plan                      string
	}{
		{"alone", "101v", "101", 3, ""},
		{"alone and not registered", "101v", "", 3, ""},
		{"a second node learns", "101v", "101 102", 3, "102: learner"},
		{"one at a time", "101v", "101 102 103", 3, "102: learner"},
		{"never two", "101v 102l", "101 102", 3, ""},
		{"three at once", "101v 102l 103l", "101 102 103", 3, "102: voter, 103: voter"},
		{"not before both have the log", "101v 102l 103l~", "101 102 103", 3, ""},
		{"nor while one is away", "101v 102l? 103l", "101 102 103", 3, ""},
		{"one is enough for who says so", "101v 102l 103l", "101 102 103", 1, ""},
		{"not while a voter is not registered", "101v 102l 103l", "102 103", 3, ""},
		{"a fourth learns", "101v 102v 103v", "101 102 103 104", 3, "104: learner"},
		{"and stays a learner", "101v 102v 103v 104l 105l", "101 102 103 104 105", 3, ""},
		{"never four", "101v 102v 103v 104l", "101 102 103 104", 5, ""},
		{"five when asked", "101v 102v 103v 104l 105l", "101 102 103 104 105", 5, "104: voter, 105: voter"},
		{"five by way of three", "101v 102l 103l 104l 105l", "101 102 103 104 105", 5, "102: voter, 103: voter"},
		{"seven never", "101v 102v 103v 104v 105v 106l 107l", "101 102 103 104 105 106 107", 5, ""},
		{"three again", "101v 102v 103v 104v 105v", "101 102 103 104 105", 3, "105: learner, 104: learner"},
		{"those first that are away", "101v 102v? 103v! 104v 105v", "101 102 103 104 105", 3, "103: learner, 102: learner"},
		{"one again", "101v 102v 103v?", "101 102 103", 1, "103: learner, 102: learner"},
		{"not when no majority would be left", "101v 102v? 103v? 104v? 105v?", "101 102 103 104 105", 3, ""},
		{"a lost voter is replaced", "101v 102v! 103v 104l", "101 102 103 104", 3, "104: voter, 102: learner"},
		{"but not dropped", "101v 102v! 103v", "101 102 103", 3, ""},
		{"nor replaced by one that is behind", "101v 102v! 103v 104l~", "101 102 103 104", 3, ""},
		{"not after a short time", "101v 102v? 103v 104l", "101 102 103 104", 3, ""},
		{"a wiped voter learns", "101v 102v 103v!", "101 102 203", 3, "203: learner"},
		{"and takes its own place", "101v 102v 103v 203l", "101 102 203", 3, "203: voter, 103: none"},
		{"the wiped before the silent", "101v 102v! 103v 203l", "101 102 203", 3, "203: voter, 103: none"},
		{"a wiped learner goes", "101v 102v 103v 104l", "101 102 103", 3, "104: none"},
		{"the leader is never lost", "101v! 102v 103v 104l", "102 103 104", 3, ""},
		{"out of two", "101v 102v 103l", "101 102 103", 3, "103: voter"},
	} {
		s := Status{RaftID: 101, Leads: true, LastIndex: 1000}
		for _, word := range strings.Fields(c.members) {
			s.Members = append(s.Members, parseMember(t, word))
		}
		var controllers []*image.Controller
		for _, word := range strings.Fields(c.registered) {
			id := parseID(t, word)
			controllers = append(controllers, &image.Controller{ID: protocol.BrokerID(id % 100), RaftID: id})
		}
		if got := tell(plan(s, controllers, c.want)); got != c.plan {
			t.Errorf("%s: %s, registered %s, %d wanted: %q, want %q", c.name, c.members, c.registered, c.want, got, c.plan)
		}
		s.Changing = true
		if got := plan(s, controllers, c.want); got != nil {
			t.Errorf("%s: %v while a change is under way", c.name, got)
		}
	}
}

func parseID(t *testing.T, word string) (id uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(word, "%d", &id); err != nil {
		t.Fatalf("%q: %v", word, err)
	}
	return id
}

func parseMember(t *testing.T, word string) Member {
	t.Helper()
	m := Member{RaftID: parseID(t, word), Role: Learner, Active: true, Following: true, Match: 950}
	for _, mark := range strings.TrimLeft(word, "0123456789") {
		switch mark {
		case 'v':
			m.Role = Voter
		case '!':
			m.Active, m.Silent = false, 10*time.Minute
		case '?':
			m.Active, m.Silent = false, 9*time.Minute
		case '~':
			m.Match = 800
		}
	}
	return m
}

func tell(changes []Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, fmt.Sprintf("%d: %v", c.RaftID, c.To))
	}
	return strings.Join(words, ", ")
}

// register says that a node is a controller, as the node itself does.
func (c *cluster) register(n *node) {
	c.t.Helper()
	req := kmsg.NewPtrControllerRegistrationRequest()
	req.ControllerID = int32(n.id)
	feature := kmsg.NewControllerRegistrationRequestFeature()
	feature.Name, feature.MinSupportedVersion, feature.MaxSupportedVersion = record.Feature, 1, 2
	req.Features = append(req.Features, feature)
	decide.SetMember(req, n.raftID, n.directory())
	if r := c.request(req).(*kmsg.ControllerRegistrationResponse); r.ErrorCode != 0 {
		c.t.Fatalf("node %d is not registered: %d", n.id, r.ErrorCode)
	}
}

// directory is bound to the raft id.
func (n *node) directory() (id protocol.DirectoryID) {
	for i := range 8 {
		id[i] = byte(n.raftID >> (8 * i))
	}
	id[8] = 1
	return id
}

// governed makes size nodes that register and become members by themselves.
func governed(t *testing.T, size int) *cluster {
	t.Helper()
	c := newCluster(t, 7)
	c.govern = true
	for n := range size {
		c.add(n > 0)
	}
	for _, n := range c.nodes {
		c.register(n)
	}
	return c
}

func (c *cluster) voters() (ids []protocol.BrokerID) {
	for _, id := range c.awaitLeader().conf.GetVoters() {
		if n := c.find(id); n != nil {
			ids = append(ids, n.id)
		} else {
			ids = append(ids, protocol.NoBroker)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *cluster) awaitVoters(want ...protocol.BrokerID) {
	c.t.Helper()
	c.until(fmt.Sprint("voters are ", want), func() bool {
		l := c.leader()
		return l != nil && !l.changing() && slices.Equal(c.voters(), want)
	})
}

// watch checks after every tick that there are never two or four voters, nor halves of them in a joint configuration.
func (c *cluster) watch() {
	c.watching = func() {
		for _, n := range c.up() {
			now, before := len(n.conf.GetVoters()), len(n.conf.GetVotersOutgoing())
			if now > 0 && now%2 == 0 || before > 0 && before%2 == 0 {
				c.t.Fatalf("node %d has members %v", n.id, n.conf)
			}
		}
	}
}

// TestNodesBecomeVoters: three nodes that register are three voters, and five when the property says so, with nobody doing anything.
func TestNodesBecomeVoters(t *testing.T) {
	c := governed(t, 2)
	c.watch()
	c.run(400)
	if got := c.voters(); len(got) != 1 {
		t.Fatalf("two nodes have voters %v", got)
	}
	c.register(c.add(true))
	c.awaitVoters(1, 2, 3)
	c.register(c.add(true))
	c.register(c.add(true))
	c.run(400)
	c.awaitVoters(1, 2, 3)
	c.set("ottla.quorum.voters", "5")
	c.awaitVoters(1, 2, 3, 4, 5)
	c.set("ottla.quorum.voters", "3")
	c.until("three voters", func() bool { return c.leader() != nil && len(c.voters()) == 3 })
	c.checkEqual()
}

// TestSilentVoterIsReplaced after ten minutes, and learns again when it comes back.
func TestSilentVoterIsReplaced(t *testing.T) {
	c := governed(t, 4)
	c.watch()
	c.awaitVoters(1, 2, 3)
	c.awaitLeader()
	gone := c.nodes[2]
	if gone == c.leader() {
		gone = c.nodes[1]
	}
	gone.kill()
	c.run(int(9 * time.Minute / Tick))
	if got := c.voters(); !slices.Contains(got, gone.id) {
		t.Fatalf("voters %v after nine minutes", got)
	}
	c.until("it is replaced", func() bool { return !slices.Contains(c.voters(), gone.id) && slices.Contains(c.voters(), 4) })
	gone.start()
	c.checkEqual()
	if l := c.leader(); !slices.Contains(l.conf.GetLearners(), gone.raftID) {
		t.Errorf("members %v", l.conf)
	}
}

// TestWipedVoterComesBackAsAnother: its old raft id goes when the new one gets the vote.
func TestWipedVoterComesBackAsAnother(t *testing.T) {
	c := governed(t, 3)
	c.watch()
	c.awaitVoters(1, 2, 3)
	wiped := c.nodes[2]
	before := wiped.raftID
	wiped.wipe()
	if wiped.raftID == before {
		t.Fatal("the raft id is the same")
	}
	c.register(wiped)
	c.awaitVoters(1, 2, 3)
	l := c.leader()
	if l.member(before) || !slices.Contains(l.conf.GetVoters(), wiped.raftID) {
		t.Errorf("members %v", l.conf)
	}
	c.checkEqual()
}

func TestVotersByHand(t *testing.T) {
	c := governed(t, 4)
	c.watch()
	c.awaitVoters(1, 2, 3)
	c.until("the fourth learns", func() bool { return c.leader() != nil && len(c.leader().conf.GetLearners()) == 1 && c.level() })
	add := func(n *node, cluster string) int16 {
		req := kmsg.NewPtrAddRaftVoterRequest()
		req.ClusterID, req.VoterID, req.VoterDirectoryID = &cluster, int32(n.id), n.directory()
		return c.request(req).(*kmsg.AddRaftVoterResponse).ErrorCode
	}
	remove := func(id protocol.BrokerID, directory protocol.DirectoryID) int16 {
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(id), directory
		return c.request(req).(*kmsg.RemoveRaftVoterResponse).ErrorCode
	}
	expect := func(what string, got int16, want *kerr.Error) {
		t.Helper()
		if code := protocol.ErrorCode(asError(want)); got != code {
			t.Errorf("%s: %d, want %d", what, got, code)
		}
	}
	n1, n4 := c.nodes[0], c.nodes[3]
	expect("add to another cluster", add(n4, "other"), kerr.InconsistentClusterID)
	expect("add a voter", add(n1, "the-cluster"), kerr.DuplicateVoter)
	expect("add a fourth", add(n4, "the-cluster"), kerr.InvalidRequest)
	expect("add a stranger", add(&node{id: 9, raftID: 5}, "the-cluster"), kerr.RequestTimedOut)
	expect("remove a stranger", remove(9, n1.directory()), kerr.VoterNotFound)
	expect("remove a learner", remove(4, n4.directory()), kerr.VoterNotFound)
	expect("remove another incarnation", remove(1, n4.directory()), kerr.VoterNotFound)
	expect("remove the leader", remove(c.leader().id, c.leader().directory()), nil)
	c.until("another one leads", func() bool { return c.leader() != nil && len(c.voters()) == 3 && slices.Contains(c.voters(), 4) })
	c.checkEqual()
	last := c.leader()
	for _, n := range c.nodes {
		if slices.Contains(last.conf.GetLearners(), n.raftID) {
			n.kill()
		}
	}
	c.run(100)
	expect("remove without another", remove(last.id, last.directory()), kerr.InvalidRequest)
}

// asError keeps a nil from becoming an error that is not nil.
func asError(k *kerr.Error) error {
	if k == nil {
		return nil
	}
	return k
}
