package group

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

// commands of the scripts. NAME is a client: it remembers the member id and the generation that it was told. Where GROUP is not given it is g.
//
//	settings max-size=N delay=D                     begin anew with other settings
//	join NAME [group= version= id= instance= session= rebalance= type= protocols=A,B topics=T,U reason=]
//	sync NAME [group= version= generation= id= instance= type= protocol= NAME:ASSIGNMENT|NAME:@TOPIC-PARTITION …]
//	heartbeat NAME [group= generation= id= instance=]
//	leave NAME … [group= version= instance= reason=]
//	commit NAME|- [group= version= generation= id= retention= id.TOPIC=N] TOPIC-PARTITION:OFFSET[:METADATA] …
//	fetch [group= version=] [TOPIC-PARTITION …]     all without partitions; groups=A,B asks for several
//	describe|delete GROUP … [version=]
//	list [states=A,B types=A,B version=]
//	forget [group=] TOPIC-PARTITION …               OffsetDelete
//	topic NAME id=N start=N end=N                   there is such a topic with one partition; id=0: it is gone
//	topic-deleted NAME id=N
//	view GROUP                                      what explain tells
//	advance D                                       time goes on
//	hold, release                                   the high watermark stops, goes on
//	fail CODE, heal                                 appends fail, work again
//	reload                                          the coordinator is loaded anew from what is committed
var commands = map[string]func(*script, line){
	"settings": func(s *script, l line) {
		settings := s.bench.c.Settings
		settings.MaxSize = int(l.number("max-size", int64(settings.MaxSize)))
		settings.InitialRebalanceDelay = time.Duration(l.ms("delay", settings.InitialRebalanceDelay.String())) * time.Millisecond
		s.start(settings)
	},
	"join": (*script).join, "sync": (*script).sync, "heartbeat": (*script).heartbeat, "leave": (*script).leave,
	"commit": (*script).commit, "fetch": (*script).fetch, "describe": (*script).describe, "delete": (*script).delete, "list": (*script).list,
	"forget": (*script).forget, "topic": (*script).topic, "view": (*script).view,
	"topic-deleted": func(s *script, l line) { s.bench.c.TopicDeleted(l.words[0], topicID(byte(l.number("id", 0)))) },
	"advance": func(s *script, l line) {
		d, err := time.ParseDuration(l.words[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.bench.advance(d)
	},
	"hold":    func(s *script, _ line) { s.bench.hold = true },
	"release": func(s *script, _ line) { s.bench.hold = false; s.bench.commit() },
	"fail": func(s *script, l line) {
		for _, e := range []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.MessageTooLarge, kerr.NotCoordinator} {
			if e.Message == l.words[0] {
				s.bench.failing = e
			}
		}
	},
	"heal":   func(s *script, _ line) { s.bench.failing = nil },
	"reload": func(s *script, _ line) { s.bench.load() },
}

func (s *script) run(command string) {
	l := parse(command)
	do := commands[l.name]
	if do == nil {
		s.t.Fatalf("unknown command %q", command)
	}
	do(s, l)
}

func (s *script) submit(client string, req kmsg.Request, version int16, done func(kmsg.Response)) {
	req.SetVersion(version)
	answered := false
	s.bench.c.Submit(protocol.Client{ID: client, Host: "/127.0.0.1"}, req, func(resp kmsg.Response) {
		if answered {
			s.t.Fatal("answered twice")
		}
		answered = true
		if resp.GetVersion() != version {
			s.t.Fatalf("%T of version %d, asked in %d", resp, resp.GetVersion(), version)
		}
		resp.AppendTo(nil) // can be encoded
		done(resp)
	})
}

func (s *script) join(l line) {
	c := s.client(l.words[0])
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = l.text("group", "g"), l.text("id", c.id), l.optional("instance")
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = l.ms("session", "10s"), l.ms("rebalance", "60s")
	req.ProtocolType, req.Reason = l.text("type", "consumer"), l.optional("reason")
	for _, name := range strings.Split(l.text("protocols", "range"), ",") {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: subscriptionTo(strings.Split(l.text("topics", "t"), ","))})
	}
	s.submit(c.name, req, int16(l.number("version", 9)), func(resp kmsg.Response) {
		r := resp.(*kmsg.JoinGroupResponse)
		if r.ErrorCode == 0 || r.ErrorCode == kerr.MemberIDRequired.Code {
			c.id, c.generation = r.MemberID, r.Generation
		}
		s.printf("%s joined: %s", c.name, errorName(r.ErrorCode))
		if r.ErrorCode != 0 {
			s.printf(" id=%s\n", r.MemberID)
			return
		}
		s.printf(" id=%s generation=%d protocol=%s/%s leader=%s", r.MemberID, r.Generation, orDash(r.ProtocolType), orDash(r.Protocol), r.LeaderID)
		if r.SkipAssignment {
			s.printf(" skip-assignment")
		}
		for _, m := range r.Members {
			s.printf(" [%s]", m.MemberID)
		}
		s.printf("\n")
	})
}

// subscriptionTo is what a consumer says of itself in version 0.
func subscriptionTo(topics []string) []byte {
	m := kmsg.ConsumerMemberMetadata{Topics: topics}
	return m.AppendTo(nil)
}

func (s *script) sync(l line) {
	c := s.client(l.words[0])
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID = l.text("group", "g"), l.text("id", c.id), l.optional("instance")
	req.Generation = int32(l.number("generation", int64(c.generation)))
	kind, protocol := l.text("type", "consumer"), l.text("protocol", "range")
	req.ProtocolType, req.Protocol = &kind, &protocol
	for _, word := range l.words[1:] {
		name, assignment, _ := strings.Cut(word, ":")
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: s.client(name).id, MemberAssignment: assignmentOf(s, assignment)})
	}
	s.submit(c.name, req, int16(l.number("version", 5)), func(resp kmsg.Response) {
		r := resp.(*kmsg.SyncGroupResponse)
		s.printf("%s synced: %s", c.name, errorName(r.ErrorCode))
		if r.ErrorCode == 0 {
			s.printf(" %s/%s %q", orDash(r.ProtocolType), orDash(r.Protocol), r.MemberAssignment)
		}
		s.printf("\n")
	})
}

// assignmentOf is the text, or with an @ before it a consumer's assignment: @TOPIC-PARTITION.
func assignmentOf(s *script, text string) []byte {
	text, consumer := strings.CutPrefix(text, "@")
	if !consumer {
		return []byte(text)
	}
	topic, partition := s.partition(text)
	a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: topic, Partitions: []int32{partition}}}}
	return a.AppendTo(nil)
}

func (s *script) heartbeat(l line) {
	c := s.client(l.words[0])
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID = l.text("group", "g"), l.text("id", c.id), l.optional("instance")
	req.Generation = int32(l.number("generation", int64(c.generation)))
	s.submit(c.name, req, 4, func(resp kmsg.Response) {
		s.printf("%s heartbeat: %s\n", c.name, errorName(resp.(*kmsg.HeartbeatResponse).ErrorCode))
	})
}

func (s *script) leave(l line) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = l.text("group", "g")
	for _, name := range l.words {
		req.MemberID = s.client(name).id
		req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: req.MemberID, Reason: l.optional("reason")})
	}
	if instance := l.optional("instance"); instance != nil {
		req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{InstanceID: instance})
	}
	s.submit("", req, int16(l.number("version", 5)), func(resp kmsg.Response) {
		r := resp.(*kmsg.LeaveGroupResponse)
		s.printf("left: %s", errorName(r.ErrorCode))
		for _, m := range r.Members {
			s.printf(" [%s%s %s]", m.MemberID, orDash(m.InstanceID), errorName(m.ErrorCode))
		}
		s.printf("\n")
	})
}

// partition reads TOPIC-PARTITION.
func (s *script) partition(text string) (string, int32) {
	topic, number, _ := strings.Cut(text, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatal(err)
	}
	return topic, int32(n)
}

func (s *script) commit(l line) {
	c := s.client(l.words[0])
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.InstanceID = l.text("group", "g"), l.text("id", c.id), l.optional("instance")
	req.Generation = int32(l.number("generation", int64(c.generation)))
	if retention, ok := l.args["retention"]; ok {
		d, err := time.ParseDuration(retention)
		if err != nil {
			s.t.Fatal(err)
		}
		req.RetentionTimeMillis = d.Milliseconds()
	}
	version := int16(l.number("version", 9))
	for _, word := range l.words[1:] {
		parts := strings.Split(word, ":")
		topic, partition := s.partition(parts[0])
		offset, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		p := kmsg.OffsetCommitRequestTopicPartition{Partition: partition, Offset: offset, LeaderEpoch: -1}
		if len(parts) > 2 {
			p.Metadata = &parts[2]
		}
		t := kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}
		if version >= 10 {
			t.Topic, t.TopicID = "", topicID(byte(l.number("id."+topic, 0)))
		}
		req.Topics = append(req.Topics, t)
	}
	s.submit(c.name, req, version, func(resp kmsg.Response) {
		s.printf("%s committed:", c.name)
		for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				s.printf(" %s-%d %s", t.Topic, p.Partition, errorName(p.ErrorCode))
			}
		}
		s.printf("\n")
	})
}

func (s *script) fetch(l line) {
	req := kmsg.NewPtrOffsetFetchRequest()
	version := int16(l.number("version", 9))
	for _, group := range strings.Split(l.text("groups", l.text("group", "g")), ",") {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, req.Group = group, group
		for _, word := range l.words {
			topic, partition := s.partition(word)
			req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: []int32{partition}})
			t := kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: []int32{partition}}
			if version >= 10 {
				t.Topic, t.TopicID = "", topicID(byte(l.number("id."+topic, 0)))
			}
			g.Topics = append(g.Topics, t)
		}
		req.Groups = append(req.Groups, g)
	}
	s.submit("", req, version, func(resp kmsg.Response) {
		r := resp.(*kmsg.OffsetFetchResponse)
		if version < 8 {
			s.printf("fetched: %s", errorName(r.ErrorCode))
			for _, t := range r.Topics {
				for _, p := range t.Partitions {
					s.printf(" %s-%d=%d %q %s", t.Topic, p.Partition, p.Offset, *p.Metadata, errorName(p.ErrorCode))
				}
			}
			s.printf("\n")
		}
		for _, g := range r.Groups {
			s.printf("fetched %s: %s", g.Group, errorName(g.ErrorCode))
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					s.printf(" %s-%d=%d %q %s", t.Topic, p.Partition, p.Offset, *p.Metadata, errorName(p.ErrorCode))
				}
			}
			s.printf("\n")
		}
	})
}

func (s *script) describe(l line) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = l.words
	s.submit("", req, int16(l.number("version", 6)), func(resp kmsg.Response) {
		for _, g := range resp.(*kmsg.DescribeGroupsResponse).Groups {
			s.printf("%s: %s %s %s/%s", g.Group, errorName(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
			if g.ErrorMessage != nil {
				s.printf(" %q", *g.ErrorMessage)
			}
			for _, m := range g.Members {
				s.printf(" [%s %s %s %d %q]", m.MemberID, m.ClientID, m.ClientHost, len(m.ProtocolMetadata), m.MemberAssignment)
			}
			s.printf("\n")
		}
	})
}

func (s *script) delete(l line) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = l.words
	s.submit("", req, 2, func(resp kmsg.Response) {
		for _, g := range resp.(*kmsg.DeleteGroupsResponse).Groups {
			s.printf("deleted %s: %s\n", g.Group, errorName(g.ErrorCode))
		}
	})
}

func (s *script) list(l line) {
	req := kmsg.NewPtrListGroupsRequest()
	split := func(s string) []string {
		return slices.DeleteFunc(strings.Split(s, ","), func(s string) bool { return s == "" })
	}
	req.StatesFilter, req.TypesFilter = split(l.text("states", "")), split(l.text("types", ""))
	s.submit("", req, int16(l.number("version", 5)), func(resp kmsg.Response) {
		r := resp.(*kmsg.ListGroupsResponse)
		s.printf("listed: %s", errorName(r.ErrorCode))
		for _, g := range r.Groups {
			s.printf(" [%s %s %s %s]", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
		s.printf("\n")
	})
}

func (s *script) forget(l line) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = l.text("group", "g")
	for _, word := range l.words {
		topic, partition := s.partition(word)
		req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: partition}}})
	}
	s.submit("", req, 0, func(resp kmsg.Response) {
		r := resp.(*kmsg.OffsetDeleteResponse)
		s.printf("forgotten: %s", errorName(r.ErrorCode))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s.printf(" %s-%d %s", t.Topic, p.Partition, errorName(p.ErrorCode))
			}
		}
		s.printf("\n")
	})
}

func (s *script) topic(l line) {
	name := l.words[0]
	tp := protocol.TopicPartition{Topic: name}
	if l.number("id", 0) == 0 {
		delete(s.bench.topics.ids, name)
		delete(s.bench.topics.bounds, tp)
		return
	}
	s.bench.topics.ids[name] = topicID(byte(l.number("id", 0)))
	s.bench.topics.bounds[tp] = [2]protocol.Offset{protocol.Offset(l.number("start", 0)), protocol.Offset(l.number("end", 0))}
	s.bench.topics.timestamps[tp] = s.bench.now.UnixMilli()
}

func (s *script) view(l line) {
	d, err := s.bench.c.Describe(s.t.Context(), l.words[0])
	if err != nil {
		s.printf("%v\n", err)
		return
	}
	since := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Sub(epoch).String()
	}
	s.printf("%s %s since %s generation=%d leader=%s until=%s\n", d.Group, d.State, since(d.Since), d.Generation, d.Leader, since(d.Until))
	s.printf("  rebalance %s to %s: %s\n", since(d.Rebalance.Began), since(d.Rebalance.Ended), d.Rebalance.Reason)
	for _, m := range d.Members {
		s.printf("  member %s instance=%s client=%s joined=%s heard=%s joining=%s awaited=%v\n", m.ID, m.Instance, m.Client.ID, since(m.Joined), since(m.Heard), since(m.Joining), m.Awaited)
	}
	for _, p := range d.Pending {
		s.printf("  pending %s since %s until %s\n", p.ID, since(p.Since), since(p.Until))
	}
	for _, p := range d.Partitions {
		s.printf("  %s committed=%d end=%d lag=%d age=%v owner=%s\n", p.TopicPartition, p.Committed.Offset, p.End, p.Records, p.Age, p.Owner)
	}
}
