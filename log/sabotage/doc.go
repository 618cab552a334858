// Package sabotage plants the bugs that the crash suites must find. A build with the tag "sabotage" has the one that the environment variable OTTLA_SABOTAGE
// names; in every other build On is false and the compiler drops what stands behind it.
//
// It does no I/O and knows nothing of ours. Each bug is one line where the right thing is done: see who calls On.
package sabotage

// Bug is a planted bug, by the name that OTTLA_SABOTAGE gives it.
type Bug string

const (
	// SkipFsync: a flush says that records are durable without having synced their file.
	SkipFsync Bug = "skip-fsync"
	// AckEarly: the durable end moves on, and is told, before the flush.
	AckEarly Bug = "ack-early"
	// SkipDirSync: a flush does not sync the folders whose names are new.
	SkipDirSync Bug = "skip-dir-sync"
	// TrustIndex: recovery leaves the indexes as the crash has left them.
	TrustIndex Bug = "trust-index"
	// AcceptTorn: recovery takes a batch whose CRC is wrong.
	AcceptTorn Bug = "accept-torn"
	// ForgetProducers: a log is loaded without its duplicate window.
	ForgetProducers Bug = "forget-producers"
)

// Bugs lists all of them.
var Bugs = []Bug{SkipFsync, AckEarly, SkipDirSync, TrustIndex, AcceptTorn, ForgetProducers}
