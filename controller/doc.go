// Package controller is the driver of the metadata quorum: it turns requests to change metadata into committed records, and committed records into images.
//
// It sits above log, controller/record, image, decide and raftlog, beside replica and the handlers, which know it through interfaces of their own. Run is the one
// goroutine that touches raft, the raft log and the images' succession; Submit may be called from anywhere and hands its request over. While a snapshot is being
// written there is one more goroutine, which Run starts and waits for. A sole voter elects itself at once and has no timer.
//
// What is durable when: a request is answered after its records are in the log of a majority, flushed, and applied here. A snapshot replaces the log before it
// only once it is durable itself. So a reply is never taken back by a crash, and the image after a restart equals the one before it.
//
// Start reading at controller.go (the loop), then propose.go and apply.go.
package controller
