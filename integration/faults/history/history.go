package history

import "fmt"

// Outcome is what a producer knows of a record that it sent. Everything unsure is Info: the record may be there, now or later, or not.
type Outcome uint8

const (
	Info Outcome = iota
	OK           // acknowledged
	Fail         // refused for good: it may never be seen
)

// Op is a record sent: when, and what was heard of it. Times are nanoseconds of one monotonic clock.
type Op struct {
	ID        ID
	Partition int32
	Outcome   Outcome
	// Promised is whether the acknowledgement was one that the faults of the run may not take back: acks=1 promises nothing for a power cut.
	Promised bool
	Offset   int64 // where it was acknowledged to be; NoOffset if that was not told
	Invoke   int64
	Done     int64 // of the outcome; 0 while there is none
}

// NoOffset is the offset of a record whose acknowledgement tells none.
const NoOffset = -1

// Read is a record as one reader met it.
type Read struct {
	Partition int32
	Offset    int64
	ID        ID
}

// Session is what one reader met, in its order: it went through each of its partitions from some offset on. Sessions are not the same as clients: one that starts over starts another session.
type Session struct {
	Name  string
	Reads []Read
}

// History is everything that clients of one topic were told. The zero value is an empty one. Whoever fills it in keeps it to one goroutine.
type History struct {
	Ops      []Op
	Sessions []Session
	// Final is a session that read every partition from its start to its end after everything was healed; Ends are the log end offsets then.
	Final Session
	Ends  map[int32]int64
	// Strange is what readers met that is not a record of this history at all.
	Strange []string
}

// Counts are a history's figures.
type Counts struct {
	Sent, Acked, Failed, Unknown, Read int
}

// Counts counts.
func (h *History) Counts() Counts {
	c := Counts{Sent: len(h.Ops), Read: len(h.Final.Reads)}
	for i := range h.Ops {
		switch h.Ops[i].Outcome {
		case OK:
			c.Acked++
		case Fail:
			c.Failed++
		case Info:
			c.Unknown++
		}
	}
	for _, s := range h.Sessions {
		c.Read += len(s.Reads)
	}
	return c
}

// Add sums up.
func (c *Counts) Add(d Counts) {
	c.Sent += d.Sent
	c.Acked += d.Acked
	c.Failed += d.Failed
	c.Unknown += d.Unknown
	c.Read += d.Read
}

// Verdict is what a judge found.
type Verdict struct {
	Judge      string   `json:"judge"`
	Violations int      `json:"violations"`
	Witnesses  []string `json:"witnesses,omitempty"` // the first few
}

// Valid tells whether the judge has nothing against the history.
func (v *Verdict) Valid() bool { return v.Violations == 0 }

const maxWitnesses = 8

// object adds a violation: its kind in a word, then what happened.
func (v *Verdict) object(kind, format string, args ...any) {
	v.Violations++
	if len(v.Witnesses) < maxWitnesses {
		v.Witnesses = append(v.Witnesses, kind+": "+fmt.Sprintf(format, args...))
	}
}

// place is one offset of one partition.
type place struct {
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("partition %d offset %d", p.partition, p.offset) }

func (r Read) place() place { return place{r.Partition, r.Offset} }

// sessions are all of them, the final one last.
func (h *History) sessions() []Session {
	return append(h.Sessions[:len(h.Sessions):len(h.Sessions)], h.Final)
}
