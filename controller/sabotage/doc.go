// Package sabotage names the bugs of the metadata quorum that the simulator must find (integration/sim). They are planted as those of the log are: see log/sabotage.
package sabotage

import "ottla/log/sabotage"

// Bug is a planted bug, by the name that OTTLA_SABOTAGE gives it.
type Bug = sabotage.Bug

// On tells whether the bug is planted in this process.
func On(b Bug) bool { return sabotage.On(b) }

const (
	// VoteBeforePersist: term and vote are written without waiting for the disk.
	VoteBeforePersist Bug = "vote-before-persist"
	// CommitUnflushed: entries are taken for stored before they are flushed.
	CommitUnflushed Bug = "commit-unflushed"
	// StaleProposal: an entry that was decided for another place, or in another term, is applied.
	StaleProposal Bug = "stale-proposal"
	// KeepSpeculation: what was decided on top of a dropped proposal stays.
	KeepSpeculation Bug = "keep-speculation"
	// SnapshotWithoutLearners: a snapshot forgets who learns.
	SnapshotWithoutLearners Bug = "snapshot-without-learners"
	// TwoVotersAtOnce: two voters are added one after the other, without a joint configuration.
	TwoVotersAtOnce Bug = "two-voters-at-once"
	// WipedVotesAgain: a node that lost its disk comes back under its old raft id.
	WipedVotesAgain Bug = "wiped-votes-again"
	// SkipDelta: a change of configs is not told to subscribers.
	SkipDelta Bug = "skip-delta"
)

// Bugs lists all of them.
var Bugs = []Bug{VoteBeforePersist, CommitUnflushed, StaleProposal, KeepSpeculation, SnapshotWithoutLearners, TwoVotersAtOnce, WipedVotesAgain, SkipDelta}
