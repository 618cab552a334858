package controller

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/vfs"
	"ottla/protocol"
)

// TestFullDiskHoldsUpMetadata: a request waits for room, reads go on, and it is answered when room comes. The request is in the log once.
func TestFullDiskHoldsUpMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		n := start(t, faulty, Options{})
		n.register(t)
		n.create(t, "before")
		faulty.Set(vfs.Rule{Ops: vfs.OpWrite, Path: "__cluster_metadata-0", Err: syscall.ENOSPC})
		answered := make(chan error, 1)
		n.Submit(protocol.Anonymous, createTopics(false, "during"), func(_ kmsg.Response, err error) { answered <- err })
		time.Sleep(5 * time.Second)
		select {
		case err := <-answered:
			t.Fatalf("answered without room: %v", err)
		default:
		}
		if n.Image().Topic("before") == nil {
			t.Error("the image is not read")
		}
		end := n.o.Log.LogEndOffset()
		faulty.Set()
		if err := <-answered; err != nil {
			t.Errorf("with room: %v", err)
		}
		if n.Image().Topic("during") == nil || n.o.Log.LogEndOffset() != end+1 {
			t.Errorf("the log ends at %d, and ended at %d", n.o.Log.LogEndOffset(), end)
		}
		n.stop(t)
	})
}

// TestFullDiskPutsASnapshotOff: the metadata goes on without, leaves nothing behind, and a later one succeeds. A stop meanwhile is a clean one.
func TestFullDiskPutsASnapshotOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, vfs.Rule{Ops: vfs.OpWrite, Path: ".checkpoint.tmp", Err: syscall.ENOSPC})
		n := start(t, faulty, Options{SnapshotEntries: 10})
		n.register(t)
		for _, name := range strings.Fields("a b c d e f g h i j k l m n") {
			n.create(t, name)
		}
		synctest.Wait() // for the snapshot under way
		if left := quorumFiles(t, mem); strings.Contains(left, "checkpoint") {
			t.Errorf("left %s", left)
		}
		faulty.Set()
		for _, name := range strings.Fields("o p q") {
			n.create(t, name)
		}
		synctest.Wait()
		if left := quorumFiles(t, mem); !strings.Contains(left, ".checkpoint ") {
			t.Errorf("with room there is %s", left)
		}
		faulty.Set(vfs.Rule{Ops: vfs.OpWrite, Path: "__cluster_metadata-0", Err: syscall.ENOSPC})
		n.Submit(protocol.Anonymous, createTopics(false, "during"), func(kmsg.Response, error) {})
		time.Sleep(time.Second)
		if err := n.halt(); err != nil {
			t.Errorf("stopped on a full disk: %v", err)
		}
	})
}

func quorumFiles(t *testing.T, mem *vfs.Mem) (names string) {
	t.Helper()
	entries, err := mem.ReadDir("quorum")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names += e.Name() + " "
	}
	return names
}
