//go:build failpoint

package vfs

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A build with the tag failpoint lets the disk fail as the environment says, and as PUT /debug/failpoint on the HTTP listener says later. A list of failpoints is
//
//	ACTION:KIND:GLOB[:NTH][;…]
//
//	ACTION  kill      SIGKILL of this process before the call
//	        killafter the same after the call
//	        tear      half of a write, then SIGKILL
//	        eio, enospc, erofs, emfile  the call fails and does nothing
//	        short     half of a read or write, then EIO
//	        delay=D   the call comes D later (500ms, 30s)
//	KIND    write, sync, dirsync, create, open, read, truncate, allocate, stat, rename, remove, mkdir, readdir, lock, space, close; several with "|"; * for all
//	GLOB    of path.Match, compared with as many last elements of the name as it has itself: "*.log", "t-0/*.log"; * for all
//	NTH     3 the third matching call, 3+ the third and all that follow, %0.01 each with that probability, %0.01@7 with seed 7; all calls if it is missing
//
// The first one that fires decides, and every one counts every call that it matches, from when it was set.
const FailpointEnv = "OTTLA_FAILPOINT"

// System is the file system of the machine with the failpoints of the environment. A list that does not parse is an error.
func System() (FS, error) {
	rules, err := ParseFailpoints(os.Getenv(FailpointEnv))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FailpointEnv, err)
	}
	return NewFaulty(OS{}, rules...), nil
}

// ParseFailpoints reads a list of failpoints.
func ParseFailpoints(list string) ([]Rule, error) {
	var rules []Rule
	for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ';' || r == '\n' }) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		r, err := parseFailpoint(text)
		if err != nil {
			return nil, fmt.Errorf("failpoint %q: %w", text, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseFailpoint(text string) (Rule, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 3 || len(parts) > 4 {
		return Rule{}, fmt.Errorf("want ACTION:KIND:GLOB[:NTH]")
	}
	var r Rule
	err := r.setAction(parts[0])
	if err == nil {
		err = r.setKinds(parts[1])
	}
	if err != nil {
		return Rule{}, err
	}
	if r.Glob = parts[2]; r.Glob == "*" {
		r.Glob = ""
	} else if _, err := path.Match(r.Glob, ""); err != nil {
		return Rule{}, err
	}
	if len(parts) == 4 {
		err = r.setNth(parts[3])
	}
	return r, err
}

// kill ends the process as kill -9 does; nothing runs after it.
func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // to oneself it cannot fail
	select {}
}

func (r *Rule) setAction(action string) error {
	name, value, _ := strings.Cut(action, "=")
	switch name {
	case "kill":
		r.Before = kill
	case "killafter":
		r.After = kill
	case "tear":
		r.Err, r.Short, r.After = syscall.EIO, Half, kill
	case "short":
		r.Err, r.Short = syscall.EIO, Half
	case "eio":
		r.Err = syscall.EIO
	case "enospc":
		r.Err = syscall.ENOSPC
	case "erofs":
		r.Err = syscall.EROFS
	case "emfile":
		r.Err = syscall.EMFILE
	case "delay":
		d, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		r.Before = func() { time.Sleep(d) }
	default:
		return fmt.Errorf("unknown action %q", action)
	}
	return nil
}

// kinds are the names of operations in failpoints.
var kinds = map[string]Op{
	"write": OpWrite, "sync": OpSync, "dirsync": OpSyncDir, "create": OpCreate, "open": OpOpen, "read": OpRead, "truncate": OpTruncate, "allocate": OpAllocate,
	"stat": OpSize, "rename": OpRename, "remove": OpRemove, "mkdir": OpMkdir, "readdir": OpReadDir, "lock": OpLock, "space": OpSpace, "close": OpClose, "*": ^Op(0),
}

func (r *Rule) setKinds(list string) error {
	for name := range strings.SplitSeq(list, "|") {
		op, ok := kinds[name]
		if !ok {
			return fmt.Errorf("unknown kind %q", name)
		}
		r.Ops |= op
	}
	return nil
}

func (r *Rule) setNth(text string) (err error) {
	if chance, ok := strings.CutPrefix(text, "%"); ok {
		chance, seed, seeded := strings.Cut(chance, "@")
		if r.Chance, err = strconv.ParseFloat(chance, 64); err == nil && seeded {
			r.Seed, err = strconv.ParseUint(seed, 10, 64)
		}
		if err == nil && !(r.Chance > 0 && r.Chance <= 1) {
			err = fmt.Errorf("a probability of %s", chance)
		}
		return err
	}
	text, r.Since = strings.CutSuffix(text, "+")
	if r.Nth, err = strconv.Atoi(text); err == nil && r.Nth < 1 {
		err = fmt.Errorf("call number %d", r.Nth)
	}
	return err
}
