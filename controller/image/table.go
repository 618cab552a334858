package image

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shardCount bounds what a change copies: one shard in 256 and the array of shards (2 KB).
const shardCount = 256

// seed differs between processes, so shard numbers do too. Nothing visible may depend on them.
var seed = maphash.MakeSeed()

// table is an immutable map in shards. The zero value is empty.
type table[K comparable, V any] struct {
	shards *[shardCount]map[K]V
	count  int
}

// shard is the part of the table where keys of that hash live; reading a nil one is fine.
func (t *table[K, V]) shard(hash uint64) map[K]V {
	if t.shards == nil {
		return nil
	}
	return t.shards[hash%shardCount]
}

// all goes through the table in no order.
func (t *table[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.shards == nil {
			return
		}
		for _, shard := range t.shards {
			for k, v := range shard {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// tableEdit is a table under change, by one Apply. Shards are copied when first written.
type tableEdit[K comparable, V any] struct {
	table[K, V]
	owned *[shardCount]bool
}

func edit[K comparable, V any](t table[K, V]) tableEdit[K, V] { return tableEdit[K, V]{table: t} }

// writable is the shard of that hash, owned by the edit.
func (e *tableEdit[K, V]) writable(hash uint64) map[K]V {
	if e.owned == nil {
		e.owned = new([shardCount]bool)
		copied := new([shardCount]map[K]V)
		if e.shards != nil {
			*copied = *e.shards
		}
		e.shards = copied
	}
	n := hash % shardCount
	if !e.owned[n] {
		e.owned[n] = true
		if e.shards[n] = maps.Clone(e.shards[n]); e.shards[n] == nil {
			e.shards[n] = make(map[K]V)
		}
	}
	return e.shards[n]
}

func (e *tableEdit[K, V]) set(hash uint64, k K, v V) {
	shard := e.writable(hash)
	before := len(shard)
	shard[k] = v
	e.count += len(shard) - before
}

func (e *tableEdit[K, V]) remove(hash uint64, k K) {
	if _, ok := e.shard(hash)[k]; !ok {
		return
	}
	delete(e.writable(hash), k)
	e.count--
}
