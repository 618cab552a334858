// Package replica is partition leadership on this broker: who may append and read, which replicas are in sync, and how far records are committed.
//
// It sits between the handlers, which know it through an interface of their own, and log, which keeps the bytes. One Manager follows the metadata image; one
// Partition for each replica here holds leadership, the in-sync set and the high watermark.
//
// Goroutines: Manager.Run is the only one, and no partition has any. Manager.Apply runs on the controller's goroutine; a Partition's methods on the
// connections'; what becomes durable is told by the flusher of the partition's disk.
//
// What is durable when: nothing here is, but for the checkpoint of high watermarks that Run writes now and then, a lower bound. A record is committed, and so
// visible, when it is below the high watermark: on the disk of every in-sync replica, or in the page cache of each for a topic with ottla.durability=memory.
//
// A partition's mutex guards values and is never held across I/O. Start reading at partition.go, then insync.go and manager.go.
package replica
