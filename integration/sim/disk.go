package sim

import (
	"fmt"
	"math/rand/v2"
	"syscall"

	"ottla/log/vfs"
)

// bootFile is where a node finds which run of its machine this is (vfs.BootID): after a power cut another one.
const bootFile = "/proc/sys/kernel/random/boot_id"

// disk is a node's: what is on it, and what may go wrong.
type disk struct {
	mem   *vfs.Mem
	fs    *vfs.Faulty
	boots int
	seeds uint64 // of fault rules
	sick  bool   // calls may have failed since the process started
}

func newDisk() *disk {
	d := &disk{mem: vfs.NewMem()}
	d.fs = vfs.NewFaulty(d.mem)
	d.boot()
	return d
}

// boot writes the id of a run of the machine.
func (d *disk) boot() {
	d.boots++
	if err := d.writeBoot(); err != nil {
		panic(err) // there are no faults below Faulty, and room enough
	}
}

func (d *disk) writeBoot() error {
	if err := d.mem.MkdirAll("/proc/sys/kernel/random"); err != nil {
		return err
	}
	if err := d.mem.RemoveAll(bootFile); err != nil {
		return err
	}
	f, err := d.mem.Create(bootFile)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "boot-%d\n", d.boots), 0)
	return err
}

// kill is what the end of the process leaves: every byte that it wrote, and what it had not synced still is not.
func (d *disk) kill() {
	d.mem.Kill()
	d.replace(d.mem)
}

// cut is what a power cut leaves.
func (d *disk) cut(dice *rand.Rand, survive float64) {
	d.replace(d.mem.CrashClone(dice, survive))
	d.boot()
}

func (d *disk) replace(mem *vfs.Mem) {
	d.mem = mem
	d.mem.SetCapacity(roomy)
	d.fs = vfs.NewFaulty(mem)
	d.sick = false
}

const (
	roomy = int64(1) << 40
	// writes are the calls that change a disk.
	writes = vfs.OpCreate | vfs.OpWrite | vfs.OpSync | vfs.OpTruncate | vfs.OpRename | vfs.OpRemove | vfs.OpMkdir | vfs.OpSyncDir
)

// powerCut is thrown out of a node's write: from there on it does not run.
type powerCut struct{}

// cutAt has the power go at the nth write from now, before it or when it is done.
func (d *disk) cutAt(nth int, before bool) {
	r := vfs.Rule{Ops: writes, Nth: nth}
	cut := func() { panic(powerCut{}) }
	if before {
		r.Before = cut
	} else {
		r.After = cut
	}
	d.fs.Set(r)
}

// failing lets calls fail: by chance, or all from one on; a write may come to half of its end.
func (d *disk) failing(dice *rand.Rand) {
	d.seeds++
	ops := []vfs.Op{writes, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpRename, vfs.OpRead}[dice.IntN(6)]
	r := vfs.Rule{Ops: ops, Err: syscall.EIO, Seed: d.seeds}
	if dice.IntN(2) == 0 {
		r.Short = vfs.Half
	}
	if dice.IntN(2) == 0 {
		r.Chance = 0.01 + 0.5*dice.Float64()
	} else {
		r.Nth, r.Since = 1+dice.IntN(20), dice.IntN(2) == 0
	}
	d.fs.Set(r)
	d.sick = true
}

// fill leaves room for some pages only.
func (d *disk) fill(dice *rand.Rand) error {
	d.sick = true
	space, err := d.mem.Space("/")
	if err != nil {
		return err
	}
	d.mem.SetCapacity(space.Total - space.Free + int64(dice.IntN(4))*4096)
	return nil
}

// heal ends what is wrong.
func (d *disk) heal() {
	d.fs.Set()
	d.mem.SetCapacity(roomy)
}
