// Package compact cleans the closed segments of a log by key: of every key the last record stays (Kafka's LogCleaner).
//
// A cleaning is two reads. Build notes the last offset of each key of the dirty section, those segments that no cleaning has seen yet, as far as memory goes. Pass then copies the
// segments from the log's first one on into drafts, group by group, without the records that the map knows a later one for. Records keep their offsets, batches their first and last
// offset, and each group its last batch, be it empty: offsets have gaps then, but segments still meet.
//
// Tombstones (a key, no value) are removed in two steps (KIP-534): the first cleaning that keeps one writes the time from which it may go into its batch, a later one removes it.
//
// Transactions are treated with caution: control batches and records of transactions stay as they are and count for nothing, because which of them were aborted is not looked up.
// As such a record may hold a value that a later tombstone stands for, no tombstone behind one goes.
//
// The package decides which records stay and knows no log: which segments are cleaned, when, and how the result takes their place is the log's. It starts no goroutine and keeps
// nothing durable. Start reading at Pass.Clean.
package compact
