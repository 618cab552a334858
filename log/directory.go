package log

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// directory is one log directory: its lock, what its checkpoints said when it was opened, its logs, and its flusher.
type directory struct {
	store *Store
	fs    vfs.FS
	files *segment.Files
	path  string
	lock  io.Closer

	meta    checkpoint.Meta // zero before Format
	clean   bool            // the last run ended with a clean stop
	unsure  bool            // a checkpoint of ours was damaged
	boot    boot
	room    *room
	begin   sync.Once
	flusher *flusher
	mount   vfs.Mount   // nil: files are synced one by one
	journal vfs.Journal // nil: syncs can be believed

	manifest     *checkpoint.Manifest // belongs to who has the token below
	manifestTurn chan struct{}

	checkpointTurn chan struct{} // the token of who writes the checkpoints
	startsWritten  bool          // belongs to who has it: the table of log starts was written in this run

	failure  atomic.Pointer[error]
	reported atomic.Bool
	dirty    atomic.Bool // a checkpointed offset has changed

	mu      sync.Mutex
	points  offsetTable                                  // recovery points as the checkpoint has them
	starts  offsetTable                                  // log start offsets as the checkpoint has them
	highs   offsetTable                                  // high watermarks as the checkpoint has them
	lowered offsetTable                                  // high watermarks that are not as high any more as the checkpoint has them
	cleans  offsetTable                                  // see cleaned.go, as the checkpoint has them
	folders map[protocol.TopicPartition]protocol.TopicID // on disk when the directory was opened, or made durable since
	vouch   map[protocol.TopicPartition]protocol.TopicID // what the manifest says
	logs    map[protocol.TopicPartition]*Log

	recoveries recoveries
}

type offsetTable = map[protocol.TopicPartition]protocol.Offset

func (d *directory) join(name string) string { return path.Join(d.path, name) }
func (d *directory) logger() *slog.Logger    { return d.store.logger }
func (d *directory) metrics() *Metrics       { return d.store.metrics }

// openDirectory locks and reads a log directory. Nothing in it is changed.
func openDirectory(s *Store, name string) (_ *directory, err error) {
	d := &directory{
		store: s, fs: s.fs, files: s.files, path: name, manifestTurn: make(chan struct{}, 1), checkpointTurn: make(chan struct{}, 1),
		logs: map[protocol.TopicPartition]*Log{}, lowered: offsetTable{}, vouch: map[protocol.TopicPartition]protocol.TopicID{},
	}
	d.flusher = newFlusher(d)
	d.room = newRoom(d)
	if err := d.fs.MkdirAll(name); err != nil {
		return nil, fmt.Errorf("log directory %s: %w", name, err)
	}
	d.mount = s.fs.Mount(name)
	if d.lock, err = d.fs.Lock(d.join(lockName)); err != nil {
		d.unmount()
		return nil, fmt.Errorf("log directory %s: %w", name, err)
	}
	d.journal = s.fs.Journal(d.join(lockName))
	if err = d.read(); err == nil {
		d.room.ballast, err = s.fs.Add(name, ballastName)
	}
	if err != nil {
		d.unmount()
		_ = d.lock.Close() // the first error is the one that tells
		return nil, fmt.Errorf("log directory %s: %w", name, err)
	}
	return d, nil
}

func (d *directory) unmount() {
	if d.mount != nil {
		_ = d.mount.Close() // nothing is written through it
	}
	if d.journal != nil {
		_ = d.journal.Close() // nothing is written through it
	}
}

const lockName = ".lock"

func (d *directory) read() (err error) {
	if d.meta, err = checkpoint.ReadMeta(d.fs, d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = checkpoint.ReadCleanShutdown(d.fs, d.path)
	d.clean = err == nil || errors.Is(err, checkpoint.ErrMalformed)
	if !d.clean && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.points, err = d.readOffsets(checkpoint.RecoveryPoints); err != nil {
		return err
	}
	if d.starts, err = d.readOffsets(checkpoint.LogStarts); err != nil {
		return err
	}
	if err := d.readHighs(); err != nil {
		return err
	}
	if err := d.readBoot(); err != nil {
		return err
	}
	if err := d.readCleaned(); err != nil {
		return err
	}
	return d.readNames()
}

// readOffsets reads a table of offsets. One that is damaged is as good as none, but then no stop counts as clean.
func (d *directory) readOffsets(name string) (offsetTable, error) {
	table, err := checkpoint.ReadOffsets(d.fs, d.path, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return offsetTable{}, nil
	case errors.Is(err, checkpoint.ErrMalformed):
		d.logger().Warn("checkpoint is not used", slog.String("directory", d.path), slog.Any("error", err))
		d.clean = false
		d.unsure = true
		return offsetTable{}, nil
	}
	return table, err
}

// readNames lists the partitions' folders; their topic ids follow.
func (d *directory) readNames() error {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return err
	}
	d.folders = map[protocol.TopicPartition]protocol.TopicID{}
	for _, e := range entries {
		if tp, ok := parseFolder(e.Name()); ok && e.IsDir() {
			d.folders[tp] = protocol.TopicID{}
		}
	}
	return nil
}

// openManifest reads which folders should be there, and learns the topic ids: from the manifest, else from the folder itself.
func (d *directory) openManifest() (err error) {
	d.manifest, err = checkpoint.OpenManifest(d.fs, d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("log directory %s: %w", d.path, err)
	}
	if d.manifest != nil {
		for _, f := range d.manifest.Folders() {
			d.vouch[f.Partition] = f.ID
		}
	}
	for tp := range d.folders {
		id := d.vouch[tp]
		if id.IsZero() {
			id, err = checkpoint.ReadPartition(d.fs, d.join(tp.String()))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("log directory %s: %w", d.path, err)
			}
		}
		d.folders[tp] = id
	}
	return nil
}

// start is what comes before the first change of the directory: from now on a crash is a crash, there is a manifest, and what an earlier run was deleting goes.
func (d *directory) start() {
	d.begin.Do(func() {
		if err := d.prepare(); err != nil {
			d.fail(err)
		}
	})
}

func (d *directory) prepare() error {
	if err := d.noteBoot(); err != nil {
		return err
	}
	if err := checkpoint.RemoveCleanShutdown(d.fs, d.path); err != nil {
		return err
	}
	if d.manifest == nil {
		if err := d.syncParents(); err != nil {
			return err
		}
		if err := d.createManifest(); err != nil {
			return err
		}
	}
	return d.removeDeleted()
}

// syncParents makes the directory's own name durable, and those of the folders above: all of them may be new.
func (d *directory) syncParents() error {
	name := path.Dir(path.Clean(d.path))
	if err := d.fs.SyncDir(name); err != nil {
		return err
	}
	for up := path.Dir(name); up != name; name, up = up, path.Dir(up) {
		// Far up there may be folders that we may not open; we have not made those.
		_ = d.fs.SyncDir(up)
	}
	return nil
}

// createManifest vouches for what is there: the directory is new, or comes from Kafka.
func (d *directory) createManifest() (err error) {
	var found []checkpoint.Folder
	for tp, id := range d.folders {
		found = append(found, checkpoint.Folder{Partition: tp, ID: id})
	}
	if d.manifest, err = checkpoint.CreateManifest(d.fs, d.path, found); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.vouch, d.folders)
	return nil
}

// removeDeleted has the folders removed that an earlier run has renamed.
func (d *directory) removeDeleted() error {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isDeletedFolder(e.Name()) && e.IsDir() {
			d.store.removeLater(0, d.join(e.Name()))
		}
	}
	return nil
}

// vouched tells whether the partition's folder was made durable here.
func (d *directory) vouched(tp protocol.TopicPartition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.vouch[tp]
	return ok
}

// checkpointed is what the checkpoints say of a partition: the offset below which everything was durable (known is false if there is none), and the log start offset. Of a
// folder that nothing vouches for they know nothing: what they say is of a deleted topic of the same name.
func (d *directory) checkpointed(tp protocol.TopicPartition) (point, start protocol.Offset, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, vouched := d.vouch[tp]; !vouched {
		return 0, 0, false
	}
	point, known = d.points[tp]
	return point, d.starts[tp], known
}

// record notes the folders of new partitions in the manifest, durably. The checkpoints must not know their names from deleted topics any more: from here on they are believed.
func (d *directory) record(added []*flush) error {
	if slices.ContainsFunc(added, d.remembered) {
		d.dirty.Store(true)
		if err := d.checkpoint(); err != nil {
			return err
		}
	}
	if err := d.dropHighs(added); err != nil {
		return err
	}
	folders := make([]checkpoint.Folder, len(added))
	for i, w := range added {
		folders[i] = checkpoint.Folder{Partition: w.l.tp, ID: w.l.id}
	}
	d.manifestTurn <- struct{}{}
	defer func() { <-d.manifestTurn }()
	if err := d.manifest.Add(folders...); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range folders {
		d.vouch[f.Partition], d.folders[f.Partition] = f.ID, f.ID
	}
	return nil
}

// remembered tells whether the checkpoints on disk hold offsets of an earlier partition of the name.
func (d *directory) remembered(w *flush) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, point := d.points[w.l.tp]
	_, start := d.starts[w.l.tp]
	_, cleaned := d.cleans[w.l.tp]
	return point || start || cleaned
}

// disown takes a partition off the manifest, durably.
func (d *directory) disown(tp protocol.TopicPartition) error {
	d.manifestTurn <- struct{}{}
	defer func() { <-d.manifestTurn }()
	if err := d.manifest.Remove(tp); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.vouch, tp)
	return nil
}

// changed says that offsets of the checkpoints have moved.
func (d *directory) changed() {
	if !d.dirty.Swap(true) {
		d.store.stir()
	}
}

// checkpoint writes both offset files, if something changed.
func (d *directory) checkpoint() error {
	d.checkpointTurn <- struct{}{}
	defer func() { <-d.checkpointTurn }()
	if !d.dirty.Swap(false) || d.err() != nil {
		return d.err()
	}
	points, starts := d.offsets()
	err := checkpoint.WriteOffsets(d.fs, d.path, checkpoint.RecoveryPoints, points)
	if err == nil && !(d.startsWritten && maps.Equal(starts, d.starts)) {
		err = checkpoint.WriteOffsets(d.fs, d.path, checkpoint.LogStarts, starts)
		d.startsWritten = err == nil
	}
	if err == nil {
		err = d.writeBoot()
	}
	if err == nil {
		err = d.writeCleaned()
	}
	if err == nil {
		err = d.writeLowered()
	}
	if err != nil && passing(err) {
		d.dirty.Store(true)
		return err
	}
	if err != nil {
		d.fail(err)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.points, d.starts = points, starts
	return nil
}

// offsets are the checkpoints' contents: what the logs say, and what was read for those that were not loaded.
func (d *directory) offsets() (points, starts offsetTable) {
	d.mu.Lock()
	logs := maps.Clone(d.logs)
	points, starts = offsetTable{}, offsetTable{}
	for tp := range d.folders {
		if o, ok := d.points[tp]; ok {
			points[tp] = o
		}
		if o, ok := d.starts[tp]; ok {
			starts[tp] = o
		}
	}
	d.mu.Unlock()
	for tp, l := range logs {
		if !l.loaded.Load() || l.offline.Load() != nil {
			continue
		}
		if l.end.Load() == 0 && len(*l.segments.Load()) == 0 { // never written, or just reset
			delete(points, tp)
			delete(starts, tp)
			continue
		}
		points[tp] = l.recoveryPoint()
		if start := protocol.Offset(l.start.Load()); start > 0 {
			starts[tp] = start // also where a segment begins: those before it may be going
		} else {
			delete(starts, tp)
		}
	}
	return points, starts
}

// recoveryPoint is the offset from which on a crash would make the log look at its files: the durable end, or the first segment whose indexes are not synced.
func (l *Log) recoveryPoint() protocol.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	point := protocol.Offset(l.durable.Load())
	if len(l.pending.sealed) > 0 {
		point = min(point, l.pending.sealed[0].Base())
	}
	return point
}

// err is why the directory is offline.
func (d *directory) err() error {
	if p := d.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// failed takes the directory offline for callers who hold a lock: report follows when they have let go.
func (d *directory) failed(err error) {
	err = fmt.Errorf("log directory %s: %w", d.path, err)
	d.failure.CompareAndSwap(nil, &err)
}

// fail takes the directory and all its logs offline.
func (d *directory) fail(err error) {
	d.failed(err)
	d.report()
}

// report tells the observers of all logs that the directory is offline, once.
func (d *directory) report() {
	err := d.err()
	if err == nil || d.reported.Swap(true) {
		return
	}
	d.logger().Error("log directory is offline", slog.String("directory", d.path), slog.Any("error", err))
	d.metrics().directoryFailed()
	d.mu.Lock()
	logs := maps.Clone(d.logs)
	d.mu.Unlock()
	for _, l := range logs {
		l.fail(err)
	}
	d.store.directoryFailed()
}
