package log

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// RoomOptions is how much of a disk is kept free. Sizes are in bytes.
type RoomOptions struct {
	// FreeMin is ottla.disk.free.min.bytes: with less left, appends of clients are refused; -1 is the smaller of 1 GiB and 5 % of the file system. It is asked at every look; nil: -1.
	FreeMin func() int64
	// Ballast is ottla.ballast.bytes, in each directory; -1 is the smaller of 64 MiB and 1 % of the file system, 0 none.
	Ballast int64
}

const (
	ballastName = "ottla.ballast"

	defaultFreeMin, freeMinShare = 1 << 30, 20
	defaultBallast, ballastShare = 64 << 20, 100

	// lookHurry is how soon it is looked at when clients have used up what was left.
	lookHurry = 10 * time.Millisecond
	// lookEvery is how often a directory's room is looked at while something is appended, or there is none; lookAtRest otherwise, for the figures' sake.
	lookEvery, lookAtRest = time.Second, 10 * time.Second
)

// room is what is left on the file system of one directory. Appends of clients are refused before it is used up, so that what must not fail has enough: reads, deletions and
// configuration changes go on, and the deletions bring the appends back. One goroutine looks; nobody else asks the disk.
type room struct {
	dir     *directory
	ballast *vfs.Ballast

	refusal atomic.Pointer[error] // what clients' appends get; nil: there is room
	left    atomic.Int64          // bytes that clients may append until the next look
	free    atomic.Int64          // bytes at the last look
	busy    atomic.Bool           // something was appended since the last look
	wake    chan struct{}         // one token: it is the first since a rest
	hurry   chan struct{}         // one token: nothing is left

	// The looker's:
	failing bool // the last look failed
	hurried bool // this one was hurried: an append is being refused
}

// bulk tells the files that take what clients send. All others are small and must be written even on a full disk: metadata, internal topics, checkpoints, indexes, snapshots.
func bulk(name string) bool {
	if !strings.HasSuffix(name, segment.LogSuffix) {
		return false
	}
	tp, ok := parseFolder(path.Base(path.Dir(name)))
	return !ok || !internalTopic(tp.Topic)
}

// internalTopic tells the topics that only brokers write.
func internalTopic(name string) bool {
	switch name {
	case protocol.MetadataTopic, "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// appended says that the disk is being filled.
func (r *room) appended() {
	if r.busy.Load() || r.busy.Swap(true) {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func newRoom(d *directory) *room {
	r := &room{dir: d, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
	r.left.Store(math.MaxInt64)
	return r
}

// refused is why a client's append of size bytes is not taken, nil if it is. One that comes when all is used up that was left at the last look is refused too: the
// next look is a moment away, and may find more.
func (r *room) refused(size int) error {
	p := r.refusal.Load()
	if p == nil && r.left.Add(-int64(size)) >= 0 {
		return nil
	}
	r.dir.metrics().appendRefused()
	if p != nil {
		return *p
	}
	select {
	case r.hurry <- struct{}{}:
	default:
	}
	return r.noRoom()
}

func (r *room) noRoom() error {
	return storageError(fmt.Errorf("the disk of %s is nearly full (ottla.disk.free.min.bytes)", r.dir.path))
}

// run looks until ctx ends.
func (r *room) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for r.dir.err() == nil {
		rest, looked := lookAtRest, time.Now()
		busy := r.busy.Swap(false)
		r.look()
		if busy || r.refusal.Load() != nil {
			rest = lookEvery
		}
		timer.Reset(rest)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			continue
		case <-r.hurry:
			r.hurried = true
			timer.Reset(lookHurry)
			select { // near the limit every append may hurry
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			continue
		case <-r.wake:
		}
		// Appends that come one by one do not make it look more often.
		timer.Reset(lookEvery - time.Since(looked))
		select {
		case <-ctx.Done():
			return
		case <-r.hurry:
			r.hurried = true
		case <-timer.C:
		}
	}
}

// look asks the file system, decides whether clients may append, and makes the ballast whole when there is room for it.
func (r *room) look() {
	space, err := r.dir.fs.Space(r.dir.path)
	if err != nil {
		if !r.failing {
			r.dir.logger().Warn("free space is not known", slog.String("directory", r.dir.path), slog.Any("error", err))
		}
		r.failing = true
		return
	}
	r.failing = false
	r.free.Store(space.Free)
	ballast := r.ballastSize(space)
	// What was given up belongs to those who must not fail: clients get no part of it.
	limit := r.freeMin(space) + r.ballast.GivenUp(ballast)
	r.decide(space.Free, limit)
	if r.left.Store(math.MaxInt64); limit > 0 {
		r.left.Store(max(0, space.Free-limit))
	}
	missing := ballast - r.ballast.Size()
	if missing > 0 && space.Free-missing >= r.freeMin(space) {
		r.fill(ballast)
	}
}

func (r *room) freeMin(s vfs.Space) int64 {
	if f := r.dir.store.options.Room.FreeMin; f != nil {
		if n := f(); n >= 0 {
			return n
		}
	}
	return min(defaultFreeMin, s.Total/freeMinShare)
}

func (r *room) ballastSize(s vfs.Space) int64 {
	if n := r.dir.store.options.Room.Ballast; n >= 0 {
		return n
	}
	return min(defaultBallast, s.Total/ballastShare)
}

// roomMargin is the least that must be free above the limit for refusals to end, in bytes: some batches.
const roomMargin = 2 << 20

// decide ends or begins the refusals. They end a little above the limit, and begin there if an append wants more than is left: so one does not follow the other.
func (r *room) decide(free, limit int64) {
	d, refusing := r.dir, r.refusal.Load() != nil
	margin := max(limit/16, roomMargin)
	hurried := r.hurried && limit > 0
	r.hurried = false
	switch {
	case !refusing && (free < limit || hurried && free < limit+margin):
		err := r.noRoom()
		r.refusal.Store(&err)
		d.logger().Error("disk is nearly full: appends of clients are refused", slog.String("directory", d.path), slog.Int64("free", free), slog.Int64("limit", limit))
		d.store.stir() // what may go is to go now
	case refusing && free >= limit+margin:
		r.refusal.Store(nil)
		d.logger().Info("disk has room again: appends are taken", slog.String("directory", d.path), slog.Int64("free", free), slog.Int64("limit", limit))
	}
}

// fill has the ballast made. Its failing is no harm: there is room, and the next look tries again.
func (r *room) fill(size int64) {
	was := r.ballast.Size()
	if err := r.ballast.Fill(size); err != nil {
		r.dir.logger().Debug("ballast is not made", slog.String("directory", r.dir.path), slog.Any("error", err))
		return
	}
	r.dir.logger().Debug("ballast made", slog.String("directory", r.dir.path), slog.Int64("bytes", size), slog.Int64("before", was))
}

// full tells whether a directory's disk is.
func (s *Store) full() bool {
	for _, d := range s.dirs {
		if d.room.refusal.Load() != nil && d.err() == nil {
			return true
		}
	}
	return false
}
