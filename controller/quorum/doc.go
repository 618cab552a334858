// Package quorum is one node's part in the metadata quorum, as a machine: requests, messages of other voters and the time go in; committed records become images, and messages, replies
// and the next deadline come out. It has no goroutine, no clock and no connection, and all of its methods belong to one goroutine (controller.Run, or the simulator's). Its disk is
// the raft log (controller/raftlog), which it writes, and waits for, inside Ready.
//
// What is durable when: a message leaves after the term, vote and entries that it speaks of are on disk. A request is answered after its records are in the log of a majority, flushed,
// and applied here. So a reply is never taken back by a crash, and the image after a restart equals the one before it.
//
// Start reading at machine.go, then propose.go and apply.go.
package quorum
