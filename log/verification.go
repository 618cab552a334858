package log

import (
	"ottla/protocol"
)

// Severity is what a finding means for the next start.
type Severity string

// From the best to the worst.
const (
	Note    Severity = "note"    // worth knowing, nothing follows
	Rebuilt Severity = "rebuilt" // a start builds it anew from the records
	Tail    Severity = "tail"    // a start cuts it off: an unflushed end, which nobody was promised
	Damage  Severity = "damage"  // records that were durable, or what vouches for them, are not what was written
)

// Finding is one thing that is not as it should be. Position and Offset are -1 where they say nothing.
type Finding struct {
	Severity Severity        `json:"severity"`
	File     string          `json:"file"`
	Position int64           `json:"position"`
	Offset   protocol.Offset `json:"offset"`
	Problem  string          `json:"problem"`
}

// PartitionVerification is what Verify has found in one partition's folder.
type PartitionVerification struct {
	Partition string          `json:"partition"`
	Segments  int             `json:"segments"`
	Batches   int64           `json:"batches"` // sound ones
	Bytes     int64           `json:"bytes"`   // of .log files
	Start     protocol.Offset `json:"start"`
	End       protocol.Offset `json:"end"` // of what a start would keep
	Findings  []Finding       `json:"findings"`
}

// Verification is what Verify has found.
type Verification struct {
	Directory  string                  `json:"directory"`
	Clean      bool                    `json:"clean"` // the last run ended with a clean stop
	Findings   []Finding               `json:"findings"`
	Partitions []PartitionVerification `json:"partitions"`
}

// State is the worst of the findings, "sound" if nothing follows from any.
func (p *PartitionVerification) State() string { return state(p.Findings) }

func state(findings []Finding) string {
	worst := "sound"
	for _, s := range []Severity{Rebuilt, Tail, Damage} {
		for _, f := range findings {
			if f.Severity == s {
				worst = string(s)
			}
		}
	}
	return worst
}

// All are the findings about the directory and about its partitions.
func (v *Verification) All() []Finding {
	all := append([]Finding{}, v.Findings...)
	for _, p := range v.Partitions {
		all = append(all, p.Findings...)
	}
	return all
}

// Damaged counts the findings that are damage.
func (v *Verification) Damaged() (n int) {
	for _, f := range v.All() {
		if f.Severity == Damage {
			n++
		}
	}
	return n
}
