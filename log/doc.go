// Package log keeps the records of this node's partitions on disk: append, read, truncate, roll, retain, recover, in Apache Kafka's formats.
//
// A Log is one partition; a Store is all of them in the log directories of the node. Above sit replica (who may append and read, what is committed) and controller/raftlog;
// below are segment (one file triple), batch and producer (pure), checkpoint (small text files) and vfs. The package knows nothing of leaders, topics or configurations of
// the cluster: a Log is given its Config.
//
// Goroutines: one flusher per log directory and one housekeeper, all started by Store.Run; none per partition. An idle partition has no goroutine, no timer, no open file, and
// no folder before its first append.
//
// What is durable when. Append returns once the bytes are in the page cache: they survive the process. A flusher then makes them survive the machine and says so with
// Observer.Durable; for a new partition that includes its folder's files, the folder's name and its line in the manifest. Producer snapshots, indexes of sealed segments and
// the leader-epoch checkpoint are durable before the records after them count as such; indexes of the active segment are not, and are rebuilt after a crash. Log start
// offsets become durable within five seconds, and with a clean stop.
//
// Locks. Log.mu orders appends and guards what they change; it is held across write(2) to the page cache, never across an fsync or a channel operation. Log.turn is a token,
// not a lock, held by whoever syncs or reshapes the files: the flusher skips a log whose token is taken, and comes back. Readers take neither. When a segment is full the next
// .log file is created under mu: about 20 microseconds once per segment. (A file prepared ahead would have to be renamed there, since its name is its base offset, and a
// rename costs the same.) Everything else that a roll brings is the flusher's.
//
// Start reading at log.go, then append.go, read.go, flusher.go, load.go and store.go.
package log
