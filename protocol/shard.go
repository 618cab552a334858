package protocol

import "unicode/utf16"

// Shard is the partition, of an internal topic with so many, whose leader coordinates key: a group id, a transactional id. It is Kafka's
// abs(hashCode(key)) % partitions, with Java's hash over UTF-16 code units, so that records written by Kafka are found again.
func Shard(key string, partitions int) int32 {
	var hash int32
	for _, r := range key {
		if utf16.RuneLen(r) == 2 {
			var high rune
			high, r = utf16.EncodeRune(r)
			hash = 31*hash + high
		}
		hash = 31*hash + r
	}
	if hash < 0 {
		hash = -hash
	}
	if hash < 0 {
		hash = 0 // the lowest number has no positive twin: Kafka takes 0
	}
	return hash % int32(partitions)
}
