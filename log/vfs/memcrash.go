package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

// dirOp is one change of names, atomic even in a power cut: a create, a remove, or a rename with its two sides.
type dirOp struct {
	subject *inode
	changes []nameChange
}

// nameChange sets a name in a folder to an inode, or takes it away (nil).
type nameChange struct {
	dir  *memDir
	name string
	to   *inode
}

func (c nameChange) apply(names map[string]*inode) {
	if c.to == nil {
		delete(names, c.name)
		return
	}
	names[c.name] = c.to
}

// change does a change of names and remembers it until a SyncDir. The caller holds m.mu.
func (m *Mem) change(subject *inode, changes ...nameChange) {
	for _, c := range changes {
		c.apply(c.dir.names)
	}
	m.pending = append(m.pending, &dirOp{subject, changes})
}

// SyncDir makes every change in dir durable. A rename into or out of dir becomes durable as a whole, with its other side.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	for i, op := range m.pending {
		if !op.touches(n.dir) {
			continue
		}
		for _, c := range op.changes {
			c.apply(c.dir.durable)
			if c.dir != n.dir {
				supersede(m.pending[:i], c)
			}
		}
		op.changes = nil
	}
	m.pending = slices.DeleteFunc(m.pending, func(op *dirOp) bool { return len(op.changes) == 0 })
	return nil
}

func (op *dirOp) touches(dir *memDir) bool {
	return slices.ContainsFunc(op.changes, func(c nameChange) bool { return c.dir == dir })
}

// supersede drops older changes of the name that c has settled.
func supersede(older []*dirOp, c nameChange) {
	for _, op := range older {
		op.changes = slices.DeleteFunc(op.changes, func(o nameChange) bool { return o.dir == c.dir && o.name == c.name })
	}
}

// CrashClone returns the disk as a power cut at this moment would leave it; m itself goes on unharmed.
//
// What was synced is there. Of the rest, each change of names and each write or truncation survives with the given probability, independently, as write-back
// has no order: 0 is the strictest disk, 1 is what a killed process leaves. Two things are kept together as file systems do: changes of one file's name
// survive in order, and a write beyond the end leaves zeros before it. A write that does not survive as a whole may leave some of its sectors, and the size that it gave the file, with
// zeros in the place of the rest.
// The same seed, probability and history give the same clone. Locks and open files do not survive. rng may be nil if survive is 0 or 1.
func (m *Mem) CrashClone(rng *rand.Rand, survive float64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := cloner{to: NewMem(), dice: dice{rng, survive}, overlay: map[*memDir]map[string]*inode{}}
	c.to.capacity.Store(m.capacity.Load())
	c.settleNames(m.pending)
	c.copyDir(m.root.dir, c.to.root.dir)
	return c.to
}

type dice struct {
	rng     *rand.Rand
	survive float64
}

func (d dice) survives() bool {
	switch {
	case d.survive <= 0:
		return false
	case d.survive >= 1:
		return true
	}
	return d.rng.Float64() < d.survive
}

type cloner struct {
	to *Mem
	dice
	overlay map[*memDir]map[string]*inode // durable names plus the surviving changes, for the folders that have any
}

func (c *cloner) settleNames(pending []*dirOp) {
	lost := map[*inode]bool{}
	for _, op := range pending {
		if lost[op.subject] || !c.survives() {
			lost[op.subject] = true
			continue
		}
		for _, change := range op.changes {
			change.apply(c.names(change.dir))
		}
	}
}

func (c *cloner) names(dir *memDir) map[string]*inode {
	if c.overlay[dir] == nil {
		c.overlay[dir] = maps.Clone(dir.durable)
	}
	return c.overlay[dir]
}

// left is the names that dir has after the cut.
func (c *cloner) left(dir *memDir) map[string]*inode {
	if names := c.overlay[dir]; names != nil {
		return names
	}
	return dir.durable
}

func (c *cloner) copyDir(from, to *memDir) {
	names := c.left(from)
	to.names = make(map[string]*inode, len(names))
	var dirty []string // those for which the dice are cast, in an order that can be repeated
	for name, n := range names {
		if n.dir == nil && !n.data.dirty() {
			to.names[name] = &inode{data: n.data.crashClone(c.to, c.dice)}
		} else {
			dirty = append(dirty, name)
		}
	}
	slices.Sort(dirty)
	for _, name := range dirty {
		n := names[name]
		if n.dir == nil {
			to.names[name] = &inode{data: n.data.crashClone(c.to, c.dice)}
			continue
		}
		fresh := newDirInode()
		c.copyDir(n.dir, fresh.dir)
		to.names[name] = fresh
	}
	to.durable = maps.Clone(to.names)
}

// Kill is what the end of the process that uses m does to it: its locks are gone. What it wrote is there, though not durable. The process's files must not be used any more.
func (m *Mem) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.locked)
}
