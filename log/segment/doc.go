// Package segment is one piece of a partition's log on disk: the batches (.log) and the two indexes that find one of them by offset (.index) and by time (.timeindex),
// in Apache Kafka's formats.
//
// It sits between vfs (bytes in files) and log (which segments there are, when one is rolled, synced or deleted). It starts no goroutine. Writing calls of one Segment
// are ordered by the log's lock; reading calls take no lock of the log and may run beside them. What is durable when: what SyncLog and SyncIndexes were called for, once
// they returned nil; the names after vfs SyncDir of the folder. An index file is only trusted after a clean stop: see Recover.
//
// Start reading at segment.go; files.go explains why a file may outlive its name.
package segment
