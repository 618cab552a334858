package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"
	"strings"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"ottla/controller/image"
	"ottla/controller/quorum"
	"ottla/protocol"
)

// judge knows what was committed, voted, published and answered, and says what may not be. It replays the committed entries itself, so that it has the image of every offset.
type judge struct {
	s       *simulation
	metrics *quorum.Metrics

	entries []*pb.Entry    // committed, by index; the first is the bootstrap batch, and nil
	images  []*image.Image // after each of them
	hashes  []uint64       // of those images
	shadow  shadow
	members []members // the configurations that were committed

	leaders map[uint64]uint64 // term → raft id
	votes   map[vote]uint64   // → whom it was given
	effects effects
	wiped   map[uint64]*controller // by raft id: those whose disk was lost
	alive   aliveness
}

// vote is who voted in which term.
type vote struct{ by, term uint64 }

// seen is how far the judge has followed a controller.
type seen struct {
	applied       uint64
	appended      uint64 // last index of its log at the last look
	term          uint64
	first         uint64          // first index of its log at the last look
	floor         protocol.Offset // committed when it started: its first image has all of that
	last          protocol.Offset // of the newest image it published; -1 before the first
	published     int
	clockAt       time.Duration
	leadershipFor uint64
}

// promises is what a node's disk has taken on, over all its starts until it is wiped.
type promises struct {
	held uint64 // it has the committed entries up to here
}

func newPromises() promises { return promises{} }

func newJudge(s *simulation) judge {
	return judge{
		s: s, metrics: quorum.NewMetrics(nil), entries: []*pb.Entry{nil}, images: []*image.Image{image.Empty()}, hashes: []uint64{0}, shadow: newShadow(),
		members: []members{{}}, leaders: map[uint64]uint64{}, votes: map[vote]uint64{}, effects: newEffects(), wiped: map[uint64]*controller{}, alive: newAliveness(),
	}
}

// end is the index of the last committed entry.
func (j *judge) end() uint64 { return uint64(len(j.entries) - 1) }

func (j *judge) failf(format string, args ...any) { j.s.fail(fmt.Errorf(format, args...)) }

// started looks at what a node found on its disk.
func (j *judge) started(c *controller) {
	first, _ := c.storage.FirstIndex() // never fails
	last, _ := c.storage.LastIndex()
	c.seen = seen{applied: first - 1, appended: last, first: first, floor: protocol.Offset(j.end()), last: -1}
	j.noCommittedEntryIsLost(c, first, last)
	if j.wiped[c.raftID] != nil {
		j.failf("RaftIDsAreNeverUsedAgain: node %d has lost its disk, and is %x again", c.n.number, c.raftID)
	}
}

// noCommittedEntryIsLost: what a node has had on its disk, and is committed, is there after every crash.
func (j *judge) noCommittedEntryIsLost(c *controller, first, last uint64) {
	held := c.n.promised.held
	if last < held {
		j.failf("NoCommittedEntryIsLost: node %d had the committed entries up to %d, and comes back with %d to %d", c.n.number, held, first, last)
		return
	}
	if held >= first && held > 0 {
		if term, err := c.storage.Term(held); err != nil || term != j.entries[held].GetTerm() {
			j.failf("NoCommittedEntryIsLost: node %d comes back with entry %d of term %d (%v), committed was one of term %d", c.n.number, held, term, err, j.entries[held].GetTerm())
		}
	}
}

// look follows what a controller has just done; messages are what it is about to send.
func (j *judge) look(c *controller, messages []*pb.Message) {
	st := c.machine.Standing()
	j.terms(c, st)
	c.noteDecided()
	j.committed(c, st, false)
	j.voted(c, messages, st.Term != c.seen.term)
	c.seen.term = st.Term
	j.published(c)
	j.answers(c)
	j.keeps(c)
}

// terms: OneLeaderPerTerm.
func (j *judge) terms(c *controller, st quorum.Standing) {
	if st.Term != c.seen.term {
		j.s.cover.Terms++
	}
	if !st.Leads || c.seen.leadershipFor == st.Term {
		return
	}
	c.seen.leadershipFor = st.Term
	j.s.cover.Elections++
	j.s.say("%d leads term %d", c.n.number, st.Term)
	if other, ok := j.leaders[st.Term]; ok && other != c.raftID {
		j.failf("OneLeaderPerTerm: %x and %x lead term %d", other, c.raftID, st.Term)
	}
	j.leaders[st.Term] = c.raftID
	j.alive.leading[st.Term] = c
	j.s.calm = j.s.now
}

// committed compares the entries that c has applied with those that others have, and takes the new ones for what is committed.
func (j *judge) committed(c *controller, st quorum.Standing, failed bool) {
	first, _ := c.storage.FirstIndex()
	if first > c.seen.applied+1 {
		j.s.cover.SnapshotsInstalled++
		j.s.say("%d installed a snapshot at %d", c.n.number, first-1)
		if first-1 > j.end() {
			j.failf("CommittedEntriesNeverChange: node %d has a snapshot at %d, committed is %d", c.n.number, first-1, j.end())
			return
		}
		c.seen.applied = first - 1
	}
	c.seen.first = first
	if st.Applied <= c.seen.applied {
		return
	}
	es, err := c.storage.Entries(c.seen.applied+1, st.Applied+1, 1<<40)
	if err != nil {
		if !c.n.disk.sick {
			j.failf("node %d cannot read what it applied, %d to %d: %w", c.n.number, c.seen.applied+1, st.Applied, err)
		}
		return
	}
	before, known := j.end(), c.seen.applied
	for _, e := range es {
		j.committedEntriesNeverChange(c, e)
		if j.s.err != nil {
			return
		}
	}
	c.seen.applied = st.Applied
	if j.end() > before && !failed { // a disk that has just failed is not asked what it holds
		j.commitNeverRunsAheadOfDurableMajority(c, known)
	}
}

func (j *judge) committedEntriesNeverChange(c *controller, e *pb.Entry) {
	i := e.GetIndex()
	if i > j.end() {
		j.commit(e)
		return
	}
	was := j.entries[i]
	if was != e && (was.GetTerm() != e.GetTerm() || was.GetType() != e.GetType() || !bytes.Equal(was.GetData(), e.GetData())) {
		j.failf("CommittedEntriesNeverChange: entry %d is %v of term %d on node %d, it was %v of term %d", i, e.GetType(), e.GetTerm(), c.n.number, was.GetType(), was.GetTerm())
	}
}

// proposalHead is the size of what precedes the records of an entry: version, term and offset that it was decided for (controller/raftlog/FORMAT.md).
const proposalHead = 17

// commit adds an entry to what is committed, and makes the image behind it.
func (j *judge) commit(e *pb.Entry) {
	i, term := protocol.Offset(e.GetIndex()), protocol.Term(e.GetTerm())
	j.entries = append(j.entries, e)
	j.s.cover.Entries++
	before := j.images[i-1]
	var next *image.Image
	var delta *image.Delta
	d := e.GetData()
	switch {
	case e.GetType() != pb.EntryNormal:
		j.s.cover.ConfChanges++
		j.membersChangeOneAtATime(e)
		fallthrough
	case len(d) < proposalHead:
		next, delta = before.Apply(i, term, nil)
	case binary.BigEndian.Uint64(d[1:]) != e.GetTerm() || binary.BigEndian.Uint64(d[9:]) != e.GetIndex():
		j.s.cover.Ignored++
		next, delta = before.Apply(i, term, nil)
	default:
		var err error
		if next, delta, err = before.ApplyList(i, term, d[proposalHead:]); err != nil {
			j.failf("entry %d cannot be read: %w", i, err)
			return
		}
	}
	j.images = append(j.images, next)
	j.s.fail(j.shadow.apply(delta, next))
	j.hashes = append(j.hashes, j.shadow.sum^scalars(next))
	j.s.fail(j.effects.note(before, next, delta))
	j.brokersChanged(e.GetTerm(), next, delta)
}

// commitNeverRunsAheadOfDurableMajority: when an entry is committed, a majority of the voters has it on disk. Which configuration counts depends on what the leader had applied: that which the
// node knew so far, or a later one, has to be satisfied.
func (j *judge) commitNeverRunsAheadOfDurableMajority(c *controller, known uint64) {
	i := j.end()
	for n := len(j.members) - 1; n >= 0; n-- {
		m := &j.members[n]
		if m.has(func(id uint64) bool { return j.durable(id, i) }) {
			return
		}
		if m.index <= known {
			break
		}
	}
	j.failf("CommitNeverRunsAheadOfDurableMajority: node %d applied entry %d, which is on the disk of no majority of %v", c.n.number, i, j.members[len(j.members)-1])
}

// durable tells whether a member has entry i where a power cut does not take it.
func (j *judge) durable(id, i uint64) bool {
	c := j.wiped[id]
	n := j.s.net.home[id]
	switch {
	case c != nil: // what it had told before its disk was lost counts, as the leader cannot know
		n = nil
	case n == nil || n.controller == nil || n.controller.raftID != id:
		return false
	default:
		c = n.controller
	}
	last, _ := c.storage.LastIndex()
	first, _ := c.storage.FirstIndex()
	if last < i {
		return false
	}
	if i+1 >= first {
		if term, err := c.storage.Term(i); err != nil || term != j.entries[i].GetTerm() {
			return false
		}
	}
	return n == nil || !n.up || n.segmentsSynced()
}

// segmentsSynced asks the disk, not the log, whether all records of the metadata log are durable.
func (n *node) segmentsSynced() bool {
	list, err := n.disk.mem.ReadDir(metadataDir)
	if err != nil {
		return false
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".log") && !n.disk.mem.Synced(path.Join(metadataDir, e.Name())) {
			return false
		}
	}
	return true
}

// keeps notes which committed entries are on the node's disk now.
func (j *judge) keeps(c *controller) {
	last, _ := c.storage.LastIndex()
	i := min(last, j.end())
	if i <= c.n.promised.held {
		return
	}
	if term, err := c.storage.Term(i); err == nil && term == j.entries[i].GetTerm() {
		c.n.promised.held = i
	}
}

// voted looks at the votes that leave, and whether the disk knows of them.
func (j *judge) voted(c *controller, messages []*pb.Message, newTerm bool) {
	check := newTerm
	for _, m := range messages {
		var whom uint64
		switch {
		case m.GetType() == pb.MsgVote:
			whom = c.raftID
		case m.GetType() == pb.MsgVoteResp && !m.GetReject():
			whom = m.GetTo()
		default:
			continue
		}
		check = true
		j.votesAreNeverTakenBack(vote{c.raftID, m.GetTerm()}, whom)
	}
	if check && !c.n.disk.sick {
		j.votesAreDurableBeforeTheyAreTold(c)
	}
}

func (j *judge) votesAreNeverTakenBack(v vote, whom uint64) {
	if was, ok := j.votes[v]; ok && was != whom {
		j.failf("VotesAreNeverTakenBack: %x voted for %x in term %d, and then for %x", v.by, was, v.term, whom)
	}
	j.votes[v] = whom
}

// votesAreDurableBeforeTheyAreTold reads the state file as a power cut would leave it.
func (j *judge) votesAreDurableBeforeTheyAreTold(c *controller) {
	hs, _, _ := c.storage.InitialState() // never fails
	b, ok := c.n.disk.mem.Durable(path.Join(c.n.quorumDir(), "quorum-state"))
	var term, voted uint64
	if ok {
		term, voted = durableVote(b)
	}
	now := c.machine.Standing().Term
	if term < now || term == now && voted != hs.GetVote() {
		j.failf("VotesAreDurableBeforeTheyAreTold: node %d is in term %d and voted for %x, its disk knows term %d and %x", c.n.number, now, hs.GetVote(), term, voted)
	}
}

// durableVote reads the newest whole slot of a state file (controller/raftlog/FORMAT.md).
func durableVote(b []byte) (term, vote uint64) {
	newest := uint64(0)
	for _, page := range []int{4096, 8192} {
		if len(b) < page+36 {
			continue
		}
		slot := b[page : page+36]
		sequence := binary.BigEndian.Uint64(slot)
		if sequence > newest && crc32.Checksum(slot[:32], castagnoli) == binary.BigEndian.Uint32(slot[32:]) {
			newest, term, vote = sequence, binary.BigEndian.Uint64(slot[8:]), binary.BigEndian.Uint64(slot[16:])
		}
	}
	return term, vote
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fullEvery is how many publications there are between two in which the whole image is looked at.
const fullEvery = 16

// published looks at the images that c has shown since the last look.
func (j *judge) published(c *controller) {
	for _, p := range c.published {
		at := p.image.Offset()
		j.publishedImagesNeverGoBack(c, at)
		if at > protocol.Offset(j.end()) {
			j.failf("node %d published the image of offset %d, committed is %d", c.n.number, at, j.end())
		}
		if j.s.err != nil {
			return
		}
		j.s.cover.Published++
		if p.shadow != j.hashes[at] {
			j.failf("DeltasLeadFromImageToImage: what node %d's deltas make up to offset %d is not the image of that offset", c.n.number, at)
		}
		if c.seen.published++; c.seen.published%fullEvery == 1 {
			j.imagesAreEqualAtEqualOffsets(c, p.image)
		}
	}
	clear(c.published)
	c.published = c.published[:0]
}

// publishedImagesNeverGoBack: within a start each is newer than the one before, and the first has all that was committed when the node started.
func (j *judge) publishedImagesNeverGoBack(c *controller, at protocol.Offset) {
	if at <= c.seen.last {
		j.failf("PublishedImagesNeverGoBack: node %d publishes offset %d after %d", c.n.number, at, c.seen.last)
	}
	if c.seen.last < 0 && at < c.seen.floor {
		j.failf("PublishedImagesNeverGoBack: the first image of node %d is that of offset %d, committed was %d when it started", c.n.number, at, c.seen.floor)
	}
	c.seen.last = at
}

func (j *judge) imagesAreEqualAtEqualOffsets(c *controller, img *image.Image) {
	j.s.cover.ImagesCompared++
	sum, err := shadowOf(img)
	if err != nil {
		j.s.fail(err)
	} else if sum != j.hashes[img.Offset()] {
		j.failf("ImagesAreEqualAtEqualOffsets: node %d's image of offset %d is not what the entries make", c.n.number, img.Offset())
	}
}
