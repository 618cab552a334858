package log

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ottla/log/checkpoint"
	"ottla/log/sabotage"
	"ottla/log/segment"
	"ottla/protocol"
)

// flusher makes the logs of one directory durable. All that is due goes in one pass: several files are synced side by side, new folders get one manifest write and one sync
// of the parent, then every observer hears of it. What becomes due meanwhile waits for the next pass. With nothing to do there is no timer.
//
// A pass is run by the flusher's own goroutine or, on a disk that answers quickly, by a caller who has appended and would only wait for it (see Store.Settle): that saves waking
// one thread to sync and another to go on.
type flusher struct {
	dir      *directory
	parallel int           // how many logs a pass syncs at a time
	origin   time.Time     // of the clock that deadlines are on; some time ago, so that urgent is over from the start
	wake     chan struct{} // one token: something is due
	alarm    *time.Timer   // gives that token at the earliest deadline

	wanted atomic.Bool // somebody counts on Settle

	mu    sync.Mutex
	queue []*Log // those whose flushAt is set
	next  int64  // the earliest of them, 0 if there is none

	turn chan struct{} // the token of who runs a pass; what follows is theirs
	due  []*Log
	work []flush
	slow bool // the last pass took longer than a caller should be held up
}

// urgent is the deadline that is always over.
const urgent = 1

// parallelSyncs is how many logs one pass syncs at a time: enough for the disk to merge, few enough not to drown it.
const parallelSyncs = 8

func newFlusher(d *directory) *flusher {
	f := &flusher{dir: d, parallel: parallelSyncs, origin: time.Now().Add(-time.Second), wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	f.alarm = time.AfterFunc(time.Hour, f.stir)
	f.alarm.Stop()
	return f
}

// after is the deadline d from now.
func (f *flusher) after(d time.Duration) int64 {
	if since := time.Since(f.origin); d < math.MaxInt64-since {
		return int64(since + d)
	}
	return math.MaxInt64
}

// touch asks for a flush of l at the deadline, or at an earlier one that is already set. Records that were in the log before the call are in the pass that follows: the pass
// resets flushAt before it looks at the log.
func (f *flusher) touch(l *Log, deadline int64) {
	if f.put(l, deadline) && deadline == urgent {
		f.stir()
	}
}

// want is touch at once, by a caller who comes to settle. Should it not, the alarm of the log's ordinary flush is still set.
func (f *flusher) want(l *Log) {
	f.put(l, urgent)
	f.wanted.Store(true)
}

// put queues l and tells whether its deadline is the earliest now; then the alarm is set, unless it is over.
func (f *flusher) put(l *Log, deadline int64) (earliest bool) {
	if at := l.flushAt.Load(); at != 0 && at <= deadline {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := l.flushAt.Load()
	if at == 0 {
		f.queue = append(f.queue, l)
	}
	if at == 0 || deadline < at {
		l.flushAt.Store(deadline)
	}
	if f.next != 0 && f.next <= deadline {
		return false
	}
	f.next = deadline
	if deadline != urgent {
		f.setAlarm()
	}
	return true
}

// setAlarm is called under mu.
func (f *flusher) setAlarm() { f.alarm.Reset(time.Duration(f.next) - time.Since(f.origin)) }

// stir wakes the flusher up.
func (f *flusher) stir() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (f *flusher) run(ctx context.Context) {
	defer f.alarm.Stop()
	for ctx.Err() == nil {
		if f.overdue() {
			f.turn <- struct{}{}
			f.pass()
			<-f.turn
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.wake:
		}
	}
}

// holdUp is how long a caller may be held up by a flush that it could leave to the flusher's goroutine.
const holdUp = 5 * time.Millisecond

// settle runs the pass that somebody counts on, unless one is running: then whoever runs it sees to the next.
func (f *flusher) settle() {
	if !f.wanted.Load() {
		return
	}
	select {
	case f.turn <- struct{}{}:
	default:
		return
	}
	if f.slow {
		<-f.turn
		f.stir()
		return
	}
	f.pass()
	<-f.turn
	// What came meanwhile is not the caller's to wait for.
	if f.wanted.Load() {
		f.stir()
	}
}

// overdue tells whether a deadline is over; if not, the alarm is set for the earliest.
func (f *flusher) overdue() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.next == 0:
		return false
	case time.Duration(f.next) <= time.Since(f.origin):
		return true
	}
	f.setAlarm()
	return false
}

// take moves what is due from the queue to f.due: all whose deadline is over, and with them every durable log.
func (f *flusher) take() {
	now := f.after(0)
	f.due = f.due[:0]
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.queue[:0]
	f.next = 0
	for _, l := range f.queue {
		at := l.flushAt.Load()
		if at <= now || l.config.Load().Durable {
			l.flushAt.Store(0)
			f.due = append(f.due, l)
			continue
		}
		kept = append(kept, l)
		if f.next == 0 || at < f.next {
			f.next = at
		}
	}
	clear(f.queue[len(kept):])
	f.queue = kept
	if f.next != 0 {
		f.setAlarm()
	}
}

// pass flushes everything that is due. A log whose token somebody else has is left out: the holder asks for a flush when done. The caller has the turn.
func (f *flusher) pass() {
	began := time.Now()
	f.wanted.Store(false)
	f.take()
	f.work = slices.Grow(f.work[:0], len(f.due))
	for _, l := range f.due {
		if !l.tryTurn() {
			continue
		}
		l.passedBy.Store(false)
		n := len(f.work)
		f.work = f.work[:n+1]
		f.work[n] = flush{files: f.work[n].files[:0]} // keep the memory
		l.collect(&f.work[n])
	}
	clear(f.due)
	f.dir.flush(f.work)
	f.slow = time.Since(began) > holdUp
}

// flush is what one log has to sync, taken under its mutex.
type flush struct {
	l         *Log
	end       protocol.Offset
	files     []*segment.Handle // unsynced .log files, pinned
	sealed    []*segment.Segment
	snapshots []snapshot
	epochs    []checkpoint.Epoch
	newEpochs bool
	folder    bool
	names     bool
	synced    bool // the files are, but not what is beside them
	err       error
	retry     bool // err passes, and has lost nothing
}

// collect notes what there is to do for l. Its token is taken.
func (l *Log) collect(w *flush) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.l, w.end = l, protocol.Offset(l.end.Load())
	w.folder, w.names = l.pending.folder, l.pending.names
	w.sealed, w.snapshots = slices.Clone(l.pending.sealed), l.pending.snapshots
	l.pending.names, l.pending.snapshots = false, nil
	l.appends = 0
	for _, s := range w.sealed {
		w.take(s)
	}
	if active := l.active(); active != nil {
		w.take(active)
		if w.newEpochs = l.epochs.changed; w.newEpochs {
			w.epochs = slices.Clone(l.epochs.entries)
			l.epochs.changed = false
		}
	}
}

func (w *flush) take(s *segment.Segment) {
	if h := s.TakeDirty(); h != nil {
		w.files = append(w.files, h)
	}
}

// flush syncs, tells the observers and gives the tokens back.
func (d *directory) flush(work []flush) {
	if len(work) == 0 {
		return
	}
	began := time.Now()
	if sabotage.On(sabotage.AckEarly) {
		for i := range work {
			work[i].l.durable.Store(int64(work[i].end))
			work[i].l.observer.Durable(work[i].l, work[i].end)
		}
	}
	d.syncAll(work)
	d.addFolders(work)
	d.checkJournal(work)
	for i := range work {
		work[i].finish()
	}
	d.metrics().flushed(time.Since(began))
}

// syncAll does each log's own part, side by side.
func (d *directory) syncAll(work []flush) {
	if d.mount != nil && len(work) > 1 {
		d.syncMany(work)
	}
	if len(work) == 1 {
		work[0].sync()
		return
	}
	var wg sync.WaitGroup
	next := make(chan *flush)
	for range min(d.flusher.parallel, len(work)) {
		wg.Go(func() {
			for w := range next {
				w.sync()
			}
		})
	}
	for i := range work {
		next <- &work[i]
	}
	close(next)
	wg.Wait()
}

// sync makes the log's files durable, in the order that recovery relies on: records, what belongs to sealed segments, epochs, names.
func (w *flush) sync() {
	defer w.release()
	if w.err != nil {
		return
	}
	if w.err = w.l.Err(); w.err != nil { // deleted, perhaps: then nothing may vouch for its folder
		return
	}
	for _, h := range w.files {
		if w.synced {
			break
		}
		if sabotage.On(sabotage.SkipFsync) {
			continue
		}
		if w.err = h.SyncData(); w.err != nil {
			return
		}
	}
	if w.err = w.syncBeside(); w.err != nil {
		w.retry = passing(w.err)
		return
	}
	if (w.names || w.folder || len(w.sealed) > 0 || len(w.snapshots) > 0) && !sabotage.On(sabotage.SkipDirSync) {
		w.err = w.l.dir.fs.SyncDir(w.l.path)
		w.retry = noDescriptor(w.err) // the folder was not even opened
	}
}

// syncBeside writes the files beside the records. All of it can be done again.
func (w *flush) syncBeside() error {
	for _, s := range w.sealed {
		if err := s.SyncIndexes(); err != nil {
			return err
		}
	}
	if err := w.l.writeSnapshots(w.snapshots); err != nil {
		return err
	}
	if w.folder {
		if err := checkpoint.WritePartition(w.l.dir.fs, w.l.path, w.l.id); err != nil {
			return err
		}
	}
	if w.newEpochs {
		return checkpoint.WriteEpochs(w.l.dir.fs, w.l.path, w.epochs)
	}
	return nil
}

func (w *flush) release() {
	for _, h := range w.files {
		h.Release()
	}
}

// addFolders makes the folders of new partitions durable: names first, then the manifest that vouches for them.
func (d *directory) addFolders(work []flush) {
	var added []*flush
	for i := range work {
		if work[i].folder && work[i].err == nil {
			added = append(added, &work[i])
		}
	}
	if len(added) == 0 {
		return
	}
	err := d.fs.SyncDir(d.path)
	if err == nil {
		err = d.record(added)
	}
	for _, w := range added {
		w.err, w.retry = err, err != nil && passing(err)
	}
}

// retryDelay is how long a flush waits that has met a full disk, or no descriptor left.
const retryDelay = time.Second

// finish moves the durable end on, gives the token back and tells the observer: without the token, because an observer may wait for a lock whose holder waits for the token.
// A failed sync is never repeated: what it left unwritten may be gone from the page cache, so the directory is done.
func (w *flush) finish() {
	l := w.l
	switch {
	case l.Err() != nil:
		<-l.turn
		return
	case w.retry:
		w.putBack()
		<-l.turn
		l.dir.flusher.touch(l, l.dir.flusher.after(retryDelay))
		return
	case w.err != nil:
		<-l.turn
		l.dir.fail(w.err)
		return
	}
	l.mu.Lock()
	l.pending.folder = l.pending.folder && !w.folder
	l.pending.sealed = slices.Delete(l.pending.sealed, 0, len(w.sealed))
	moved := int64(w.end) > l.durable.Load()
	if moved {
		l.durable.Store(int64(w.end))
	}
	l.mu.Unlock()
	l.endTurn()
	if moved {
		l.dir.changed()
		l.observer.Durable(l, w.end)
	}
}

// putBack makes what collect took pending again.
func (w *flush) putBack() {
	l := w.l
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.names = l.pending.names || w.names
	l.pending.snapshots = append(w.snapshots, l.pending.snapshots...)
	l.epochs.changed = l.epochs.changed || w.newEpochs
}

// tryTurn takes the log's token if it is free. If not, its holder will see passedBy: it is set while the token is still taken.
func (l *Log) tryTurn() bool {
	l.passedBy.Store(true)
	select {
	case l.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeTurn waits for the token.
func (l *Log) takeTurn() { l.turn <- struct{}{} }

// endTurn gives it back, and calls the flusher if it has passed by meanwhile, or if something came up.
func (l *Log) endTurn() {
	<-l.turn
	if l.passedBy.Swap(false) {
		l.dir.flusher.touch(l, urgent)
	} else if l.unsynced() {
		l.dir.flusher.touch(l, l.dir.flusher.after(flushDelay))
	}
}

// unsynced tells whether a flush of l is due by itself: a durable log's records, or what a roll has left.
func (l *Log) unsynced() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Err() != nil {
		return false
	}
	return l.config.Load().Durable && l.durable.Load() < l.end.Load() || len(l.pending.sealed) > 0
}

// Flush makes everything that is in the log durable before it returns nil. Observer.Durable is called from here.
func (l *Log) Flush() error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.takeTurn()
	work := make([]flush, 1)
	l.collect(&work[0])
	l.dir.flush(work)
	if err := work[0].err; err != nil {
		return storageError(err)
	}
	return nil
}
