package session

import "ottla/protocol"

// none ends the lists that run through slots.
const none = -1

// partitions is what a session remembers: a set with an order. A partition's slot is its for as long as it stays, so its place in the order changes without moving it.
type partitions struct {
	byID  bool // asked for by topic id (Fetch v13+), else by name
	slots []Partition
	index map[key]int32
	head  int32 // first in order; linked by prev and next
	tail  int32
	free  int32 // first of the unused slots; linked by next
}

// key names a partition the way the session's requests do: id or name is empty.
type key struct {
	id        protocol.TopicID
	name      string
	partition int32
}

// newPartitions makes a session's memory out of those of its first request. Of a partition named twice the last request counts, in the first's place, as in Kafka.
func newPartitions(byID bool, asked []Partition) partitions {
	s := partitions{byID: byID, slots: make([]Partition, 0, len(asked)), index: make(map[key]int32, len(asked)), head: none, tail: none, free: none}
	for i := range asked {
		p := s.add(s.key(asked[i].ID, asked[i].Topic, asked[i].Index))
		prev, next := p.prev, p.next
		*p = asked[i]
		p.prev, p.next = prev, next
	}
	return s
}

func (s *partitions) key(id protocol.TopicID, name string, partition int32) key {
	if s.byID {
		return key{id: id, partition: partition}
	}
	return key{name: name, partition: partition}
}

func (s *partitions) len() int { return len(s.index) }

// find looks a partition up; name may alias a frame.
func (s *partitions) find(id protocol.TopicID, name []byte, partition int32) *Partition {
	if i, ok := s.index[key{id: id, name: string(name), partition: partition}]; ok {
		return &s.slots[i]
	}
	return nil
}

// add gives the partition's slot, a new one at the end of the order if it has none.
func (s *partitions) add(k key) *Partition {
	if i, ok := s.index[k]; ok {
		return &s.slots[i]
	}
	i := s.free
	if i == none {
		i = int32(len(s.slots))
		s.slots = append(s.slots, Partition{})
	} else {
		s.free = s.slots[i].next
	}
	p := &s.slots[i]
	*p = Partition{Topic: k.name, ID: k.id, Index: k.partition, highWatermark: protocol.NoOffset, logStart: protocol.NoOffset}
	s.index[k] = i
	s.pushBack(i)
	return p
}

func (s *partitions) remove(id protocol.TopicID, name []byte, partition int32) {
	k := key{id: id, name: string(name), partition: partition}
	i, ok := s.index[k]
	if !ok {
		return
	}
	delete(s.index, k)
	s.unlink(i)
	s.slots[i] = Partition{next: s.free}
	s.free = i
}

// moveBack makes a slot the last in order.
func (s *partitions) moveBack(i int32) {
	s.unlink(i)
	s.pushBack(i)
}

func (s *partitions) pushBack(i int32) {
	p := &s.slots[i]
	p.prev, p.next = s.tail, none
	if s.tail == none {
		s.head = i
	} else {
		s.slots[s.tail].next = i
	}
	s.tail = i
}

func (s *partitions) unlink(i int32) {
	p := &s.slots[i]
	if p.prev == none {
		s.head = p.next
	} else {
		s.slots[p.prev].next = p.next
	}
	if p.next == none {
		s.tail = p.prev
	} else {
		s.slots[p.next].prev = p.prev
	}
}

// slot is the number of a partition found in order: its predecessor knows it.
func (s *partitions) slot(p *Partition) int32 {
	if p.prev == none {
		return s.head
	}
	return s.slots[p.prev].next
}
