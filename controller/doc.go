// Package controller runs a node's part in the metadata quorum: it turns requests to change metadata into committed records, and committed records into images.
//
// What is decided, and when it counts, is a machine's business (controller/quorum). Here are the goroutine that drives it, the queue that brings requests to it, its clock, and the image
// that everybody else reads. It sits above log and controller/..., beside replica and the handlers, which know it through interfaces of their own. Run is the one goroutine that touches the
// machine; Submit may be called from anywhere. While a snapshot is being written there is one more goroutine, which Run starts and waits for. A sole voter has no timer.
//
// Start reading at controller.go, then quorum/machine.go.
package controller
