package log

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/vfs"
	"ottla/protocol"
)

const mib = 1 << 20

// smallDisk is a store on a disk of 16 MiB that keeps 2 MiB free and puts 1 MiB by.
func smallDisk(t testing.TB, mem *vfs.Mem) *Store {
	t.Helper()
	mem.SetCapacity(16 * mib)
	s, err := OpenStore(StoreOptions{FS: mem, Dirs: []string{"d"}, Logger: quiet, Room: RoomOptions{FreeMin: func() int64 { return 2 * mib }, Ballast: mib}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hog takes all of the disk but rest bytes, as another program would.
func hog(t testing.TB, mem *vfs.Mem, rest int64) {
	t.Helper()
	space, err := mem.Space("d")
	if err != nil {
		t.Fatal(err)
	}
	f, err := mem.Create(fmt.Sprintf("hog%d", space.Free))
	if err == nil {
		err = f.Allocate(0, space.Free-rest)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fillUp appends batches until one is refused, at most n.
func fillUp(t testing.TB, l *Log, n int) (taken int, err error) {
	t.Helper()
	value := strings.Repeat("v", 64<<10)
	for taken = range n {
		var info AppendInfo
		if err = l.Append(records(nowMs(), value), AppendOptions{}, &info); err != nil {
			return taken, err
		}
		time.Sleep(10 * time.Millisecond) // in a bubble: the room is looked at as time goes by
	}
	return n, nil
}

// TestNearlyFullDiskRefusesClientsAlone: their appends get a retriable error before they touch the disk; reads, internal topics and deletions go on, and a deletion ends the refusals.
func TestNearlyFullDiskRefusesClientsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := smallDisk(t, mem)
		defer run(s)()
		l := openLog(t, s, DefaultConfig(), NopObserver{})
		offsets, err := s.Open(protocol.TopicPartition{Topic: "__consumer_offsets"}, protocol.TopicID{2}, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := fillUp(t, l, 1000)
		if !errors.Is(err, kerr.KafkaStorageError) {
			t.Fatalf("after %d batches: %v", n, err)
		}
		if errors.Is(err, syscall.ENOSPC) {
			t.Error("it was the disk that refused")
		}
		if space, _ := mem.Space("d"); space.Free < mib {
			t.Errorf("%d bytes are left", space.Free)
		}
		var info AppendInfo
		if err := offsets.Append(records(nowMs(), "o"), AppendOptions{Origin: Internal}, &info); err != nil {
			t.Errorf("internal topic: %v", err)
		}
		if got := readAll(t, l, 0, protocol.Offset(n), mib); len(got) != n {
			t.Errorf("%d of %d batches are read", len(got), n)
		}
		if err := l.AdvanceLogStart(1); err != nil {
			t.Errorf("delete records: %v", err)
		}
		if err := s.Delete(l); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, s, DefaultConfig(), NopObserver{})
		time.Sleep(3 * time.Second)
		if n, err := fillUp(t, l, 10); err != nil {
			t.Errorf("after the deletion, batch %d: %v", n, err)
		}
	})
}

// TestWhatMustNotFailGetsTheBallast: on a disk without a byte left, internal topics and checkpoints are written, and clients are refused until what was given up is back.
func TestWhatMustNotFailGetsTheBallast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := smallDisk(t, mem)
		defer run(s)()
		l := openLog(t, s, DefaultConfig(), NopObserver{})
		mustAppend(t, l, records(nowMs(), "a"), 0)
		time.Sleep(2 * time.Second)
		if got := s.dirs[0].room.ballast.Size(); got != mib {
			t.Fatalf("a ballast of %d bytes", got)
		}
		hog(t, mem, 0)
		var info AppendInfo
		if err := l.Append(records(nowMs(), strings.Repeat("v", 64<<10)), AppendOptions{}, &info); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("a client's append on a full disk: %v", err)
		}
		meta, err := s.Open(protocol.TopicPartition{Topic: "__cluster_metadata"}, protocol.MetadataTopicID, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		if err := meta.Append(records(nowMs(), strings.Repeat("m", 32<<10)), AppendOptions{Origin: Internal}, &info); err != nil { // as a client's it would be refused once the disk was looked at
			t.Fatal(err)
		}
		if err := meta.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.dirs[0].checkpoint(); err != nil {
			t.Error(err)
		}
		if got := s.dirs[0].room.ballast.Size(); got >= mib {
			t.Errorf("a ballast of %d bytes is left", got)
		}
		mem.SetCapacity(24 * mib) // enough for the ballast, for what is to stay free, and for the margin of who was refused
		time.Sleep(5 * time.Second)
		if got := s.dirs[0].room.ballast.Size(); got != mib {
			t.Errorf("with room again, a ballast of %d bytes", got)
		}
		if n, err := fillUp(t, l, 3); err != nil {
			t.Errorf("with room again, batch %d: %v", n, err)
		}
	})
}

// TestFullDiskStarts: a node that was killed comes back on a disk without a byte left, and goes on when a topic is deleted.
func TestFullDiskStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := smallDisk(t, mem)
		stop := run(s)
		l := openLog(t, s, DefaultConfig(), NopObserver{})
		n, _ := fillUp(t, l, 1000)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		stop()
		hog(t, mem, 0)
		after := mem.CrashClone(nil, 1)
		s = smallDisk(t, after)
		if space, _ := after.Space("d"); space.Free > 0 {
			t.Fatalf("%d bytes are free", space.Free)
		}
		defer run(s)()
		l = openLog(t, s, DefaultConfig(), NopObserver{})
		if end := l.LogEndOffset(); end != protocol.Offset(n) || l.Err() != nil {
			t.Fatalf("%d of %d records, %v", end, n, l.Err())
		}
		other := protocol.TopicPartition{Topic: "u"}
		u, err := s.Open(other, protocol.TopicID{3}, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		var info AppendInfo
		if err := u.Append(records(nowMs(), "a"), AppendOptions{}, &info); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("append on a full disk: %v", err)
		}
		if err := s.Delete(l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n, err := fillUp(t, u, 3); err != nil {
			t.Errorf("after the deletion, batch %d: %v", n, err)
		}
		if err := u.Flush(); err != nil {
			t.Error(err)
		}
	})
}

// TestRollWithoutDescriptors: no file can be made for a new segment; the append is refused, the log and its neighbour stay online, and nothing is left of the try.
func TestRollWithoutDescriptors(t *testing.T) {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC} {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem)
		s := openStore(t, faulty)
		stop := run(s)
		c := DefaultConfig()
		c.SegmentBytes = 200
		l := openLog(t, s, c, NopObserver{})
		other, err := s.Open(protocol.TopicPartition{Topic: "u"}, protocol.TopicID{3}, DefaultConfig(), NopObserver{})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, other, records(0, "a"), 0)
		mustAppend(t, l, records(0, strings.Repeat("v", 100)), 0)
		faulty.Set(vfs.Rule{Ops: vfs.OpCreate | vfs.OpOpen | vfs.OpSyncDir, Err: errno})
		if errno == syscall.ENOSPC {
			faulty.Set(vfs.Rule{Ops: vfs.OpCreate, Err: errno})
		}
		var info AppendInfo
		if err := l.Append(records(0, strings.Repeat("v", 100)), AppendOptions{}, &info); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("%v: %v", errno, err)
		}
		mustAppend(t, other, records(0, "b"), 0)
		if names, _ := mem.ReadDir("d/t-0"); countLogs(names) != 1 {
			t.Errorf("%v: left %v", errno, names)
		}
		faulty.Set()
		mustAppend(t, l, records(0, strings.Repeat("v", 100)), 0)
		if err := errors.Join(l.Flush(), other.Flush(), l.Err(), other.Err()); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
		stop()
	}
}
