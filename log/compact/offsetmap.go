package compact

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"ottla/protocol"
)

// OffsetMap knows the last offset of each key that was put in, by the first 128 bits of the key's SHA-256: keys themselves take no room, and nobody can make two keys meet
// (Kafka takes MD5). An entry is 24 bytes; the table grows with the keys, up to its budget.
//
// The table is cut into shards by the hash's first byte, which grow one at a time, so that growing takes little more room than what is there.
type OffsetMap struct {
	shards [shardCount]shard
	count  int
	slots  int // over all shards
	most   int // slots that the budget allows
}

const (
	shardCount = 64
	entryBytes = 24
	firstSlots = 16 // of a shard
)

// shard is an open table with linear probing, at most loadFactor full.
type shard struct {
	entries []mapEntry
	count   int
}

// mapEntry is one key; next is its offset plus one, so that zero is an empty slot.
type mapEntry struct {
	high, low uint64
	next      int64
}

// Kafka's log.cleaner.io.buffer.load.factor.
const loadNumerator, loadDenominator = 9, 10

// NewOffsetMap returns an empty map that takes at most budget bytes (log.cleaner.dedupe.buffer.size), but a few shards in any case.
func NewOffsetMap(budget int64) *OffsetMap {
	return &OffsetMap{most: int(max(budget/entryBytes, 4*firstSlots))}
}

// Len is the number of keys.
func (m *OffsetMap) Len() int { return m.count }

// Bytes is the memory that the entries take.
func (m *OffsetMap) Bytes() int64 { return int64(m.slots) * entryBytes }

// Put notes that key is at offset, which is larger than all before. False means that the map is full and key is not in it.
func (m *OffsetMap) Put(key []byte, offset protocol.Offset) bool {
	high, low := hash(key)
	s := &m.shards[high%shardCount]
	if e := s.find(high, low); e != nil && e.next != 0 {
		e.next = int64(offset) + 1
		return true
	}
	if loadDenominator*(s.count+1) > loadNumerator*len(s.entries) && !m.grow(s) {
		return false
	}
	*s.find(high, low) = mapEntry{high, low, int64(offset) + 1}
	s.count++
	m.count++
	return true
}

// Last is the last offset of key, NoOffset if it is not in the map.
func (m *OffsetMap) Last(key []byte) protocol.Offset {
	high, low := hash(key)
	if e := m.shards[high%shardCount].find(high, low); e != nil {
		return protocol.Offset(e.next - 1)
	}
	return protocol.NoOffset
}

// find is the key's slot, or the empty one that it would take; nil if the shard has none at all.
func (s *shard) find(high, low uint64) *mapEntry {
	n := uint64(len(s.entries))
	if n == 0 {
		return nil
	}
	at, _ := bits.Mul64(low, n) // low scaled to a slot
	for {
		e := &s.entries[at]
		if e.next == 0 || e.high == high && e.low == low {
			return e
		}
		if at++; at == n {
			at = 0
		}
	}
}

// grow makes a shard half as large again, if the budget allows.
func (m *OffsetMap) grow(s *shard) bool {
	size := max(firstSlots, len(s.entries)*3/2)
	if m.slots-len(s.entries)+size > m.most {
		return false
	}
	m.slots += size - len(s.entries)
	old := s.entries
	s.entries = make([]mapEntry, size)
	for _, e := range old {
		if e.next != 0 {
			*s.find(e.high, e.low) = e
		}
	}
	return true
}

func hash(key []byte) (high, low uint64) {
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}
