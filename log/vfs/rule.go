package vfs

import (
	"math/rand/v2"
	"path"
	"strings"
)

// Op is a set of kinds of operation, for rules: OpWrite|OpSync.
type Op uint16

const (
	OpCreate Op = 1 << iota
	OpOpen      // Open and OpenReadOnly
	OpRead
	OpWrite // WriteAt and WriteVecAt
	OpSync  // Sync and SyncData
	OpTruncate
	OpAllocate
	OpSize // Size and Stat
	OpRename
	OpRemove // Remove and RemoveAll
	OpMkdir
	OpReadDir
	OpSyncDir
	OpLock
	OpSpace
	OpClose
)

// Half is the Rule.Short of a call that fails in the middle.
const Half = -1

// Rule says what becomes of matching operations: an error, or only what Before and After do.
type Rule struct {
	Ops  Op
	Path string // a substring of the name; of either name of a rename
	Glob string // empty, or a pattern of path.Match for the last elements of the name, as many as it has: "*.log", "t-0/*.log"
	Nth  int    // the nth matching call from when the rule was set, counted from 1; 0 is every call
	// Since makes it the nth call and all that follow.
	Since bool
	// Chance, if not 0, makes it any call with this probability, by the dice of Seed.
	Chance float64
	Seed   uint64

	Err error // nil: the operation goes to the file system below
	// Short is how many bytes a failing read or write moves before it fails; Half is the first half of them.
	Short int
	// Before and After, if not nil, are called around the operation, without any lock held: they may block. After a failing one After is called if bytes could be moved.
	Before, After func()
}

// rule is a Rule at work.
type rule struct {
	Rule
	calls int
	dice  *rand.Rand
}

func newRule(r Rule) rule { return rule{Rule: r, dice: rand.New(rand.NewPCG(r.Seed, 0))} }

func (r *rule) matches(op Op, names []string) bool {
	if r.Ops&op == 0 {
		return false
	}
	for _, name := range names {
		if strings.Contains(name, r.Path) && matchGlob(r.Glob, name) {
			return true
		}
	}
	return false
}

// matchGlob compares a pattern with as many of the name's last elements as it has itself.
func matchGlob(glob, name string) bool {
	if glob == "" {
		return true
	}
	elements := strings.Split(name, "/")
	if n := strings.Count(glob, "/") + 1; n < len(elements) {
		elements = elements[len(elements)-n:]
	}
	ok, err := path.Match(glob, strings.Join(elements, "/"))
	return ok && err == nil
}

// fires counts a matching call and tells whether the rule is about it.
func (r *rule) fires() bool {
	r.calls++
	switch {
	case r.Chance > 0:
		return r.dice.Float64() < r.Chance
	case r.Since:
		return r.calls >= r.Nth
	}
	return r.Nth == 0 || r.Nth == r.calls
}
