package raftlog

import (
	"testing"

	"ottla/log/vfs"
)

// TestWhatAKillLeftIsMadeDurable: a process is killed in the middle of appending entries, or of making its state; the next one finds them in the page cache and tells others. A power cut must not take them then.
func TestWhatAKillLeftIsMadeDurable(t *testing.T) {
	mem := vfs.NewMem()
	writes := 0
	fs := vfs.NewFaulty(mem)
	d, err := openDisk(mem, fs)
	if err != nil {
		t.Fatal(err)
	}
	d.mustSave(t, hard(2, 0, 1), run(2, 5, 2))
	fs.Set(vfs.Rule{Ops: vfs.OpSync, Path: ".log", Before: func() { writes++; panic("killed") }})
	func() {
		defer func() { _ = recover() }()
		_ = d.Save(nil, nil, run(6, 9, 2))
	}()
	if writes != 1 {
		t.Fatalf("%d syncs of the log", writes)
	}
	mem.Kill()
	again := mustOpen(t, mem)
	last, _ := again.LastIndex()
	cut := mustOpen(t, mem.CrashClone(nil, 0))
	if after, _ := cut.LastIndex(); after < last {
		t.Errorf("after the kill the log ended at %d, after the power cut at %d", last, after)
	}
}

// TestStateThatAKillLeftIsMadeDurable: the same for the name of the state file.
func TestStateThatAKillLeftIsMadeDurable(t *testing.T) {
	mem := vfs.NewMem()
	fs := vfs.NewFaulty(mem)
	dirs := 0
	fs.Set(vfs.Rule{Ops: vfs.OpRename, Path: stateName, After: func() { dirs++; panic("killed") }})
	func() {
		defer func() { _ = recover() }()
		_, _ = openDisk(mem, fs)
	}()
	if dirs != 1 {
		t.Fatalf("%d state files", dirs)
	}
	mem.Kill()
	id := mustOpen(t, mem).RaftID()
	if after := mustOpen(t, mem.CrashClone(nil, 0)).RaftID(); after != id {
		t.Errorf("raft id %x became %x", id, after)
	}
}

// TestSyncedCommitSurvives: what SyncCommit has returned from is known after a power cut.
func TestSyncedCommitSurvives(t *testing.T) {
	mem := vfs.NewMem()
	d := mustOpen(t, mem)
	d.mustSave(t, hard(2, 0, 4), run(2, 5, 2))
	if err := d.SyncCommit(); err != nil {
		t.Fatal(err)
	}
	hs, _, _ := mustOpen(t, mem.CrashClone(nil, 0)).InitialState()
	if hs.GetCommit() != 4 {
		t.Errorf("commit %d", hs.GetCommit())
	}
}
