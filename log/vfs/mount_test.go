package vfs

import "testing"

// TestAFolderIsNoMount: what shares its file system with others is synced file by file.
func TestAFolderIsNoMount(t *testing.T) {
	if m := (OS{}).Mount(t.TempDir()); m != nil {
		t.Error("a folder among others is a mount")
	}
	if m := NewReserve(NewWatch(NewMem()), nil).Mount("/"); m != nil {
		t.Error("a Mem is a mount")
	}
}
