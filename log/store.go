package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// StoreOptions is what a Store needs. FS, Dirs and Logger are required.
type StoreOptions struct {
	FS      vfs.FS
	Dirs    []string // log.dirs; made if they do not exist
	Logger  *slog.Logger
	Metrics *Metrics // nil: not measured

	RetentionCheck     time.Duration // log.retention.check.interval.ms; 0: five minutes
	Checkpoint         time.Duration // log.flush.offset.checkpoint.interval.ms, but five seconds at most: what a crash makes us read lies past the recovery points
	ProducerExpiration time.Duration // producer.id.expiration.ms; 0: a day
	OpenFiles          int           // idle files that stay open; 0: 1024
	Scrub              Scrub
	Room               RoomOptions

	CleanerOff            bool          // log.cleaner.enable is false: nothing is compacted
	CleanerBackoff        time.Duration // log.cleaner.backoff.ms; 0: 15 seconds
	CleanerBuffer         int64         // log.cleaner.dedupe.buffer.size, in bytes: what the keys of one log may take; 0: 128 MiB
	CleanerBytesPerSecond float64       // log.cleaner.io.max.bytes.per.second, read and written; 0: no limit
}

const maxCheckpoint = 5 * time.Second

func (o *StoreOptions) setDefaults() {
	if o.RetentionCheck <= 0 {
		o.RetentionCheck = 5 * time.Minute
	}
	if o.Checkpoint <= 0 || o.Checkpoint > maxCheckpoint {
		o.Checkpoint = maxCheckpoint
	}
	if o.ProducerExpiration <= 0 {
		o.ProducerExpiration = 24 * time.Hour
	}
	if o.Scrub.Period <= 0 {
		o.Scrub.Period = 7 * 24 * time.Hour
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = 1024
	}
	if o.CleanerBackoff <= 0 {
		o.CleanerBackoff = 15 * time.Second
	}
	if o.CleanerBuffer <= 0 {
		o.CleanerBuffer = 128 << 20
	}
}

// Store is the log directories of this node and the logs in them.
type Store struct {
	fs      *vfs.Reserve
	watch   *vfs.Watch
	files   *segment.Files
	logger  *slog.Logger
	metrics *Metrics
	options StoreOptions
	dirs    []*directory

	wake      chan struct{} // one token: the housekeeper has something new
	scrubWake chan struct{} // one token: a read has met damage
	dead      chan struct{} // closed when the last directory is offline
	ended     sync.Once     // closes dead

	mu       sync.Mutex
	logs     map[protocol.TopicPartition]*Log
	removals []removal // ascending by due
}

// OpenStore locks the directories and reads what they say about themselves. On an error nothing has been changed in any of them, but that a missing one was made.
func OpenStore(o StoreOptions) (*Store, error) {
	o.setDefaults()
	watch := vfs.NewWatch(o.FS)
	reserve := vfs.NewReserve(watch, bulk)
	s := &Store{
		fs: reserve, watch: watch, files: segment.NewFiles(reserve, o.OpenFiles), logger: o.Logger, metrics: o.Metrics, options: o,
		wake: make(chan struct{}, 1), scrubWake: make(chan struct{}, 1), dead: make(chan struct{}), logs: map[protocol.TopicPartition]*Log{},
	}
	if len(o.Dirs) == 0 {
		return nil, errors.New("no log directories")
	}
	for _, name := range o.Dirs {
		d, err := openDirectory(s, name)
		if err != nil {
			s.unlock()
			return nil, err
		}
		s.dirs = append(s.dirs, d)
	}
	err := s.check()
	for _, d := range s.dirs {
		if err == nil {
			err = d.openManifest()
		}
	}
	if err != nil {
		s.unlock()
		return nil, err
	}
	s.metrics.observe(s)
	return s, nil
}

// FS is the disk as everybody is to use it who writes into the log directories: it is watched, and what must not fail for want of room does not.
func (s *Store) FS() vfs.FS { return s.fs }

// check finds directories that do not belong together, and partitions that are in more than one.
func (s *Store) check() error {
	var first *directory
	seen := map[protocol.TopicPartition]*directory{}
	for _, d := range s.dirs {
		for tp := range d.folders {
			if other := seen[tp]; other != nil {
				return fmt.Errorf("partition %s is in %s and in %s: %w", tp, other.path, d.path, ErrMismatch)
			}
			seen[tp] = d
		}
		if d.meta.ClusterID == "" {
			continue
		}
		if first == nil {
			first = d
			continue
		}
		if d.meta.ClusterID != first.meta.ClusterID || d.meta.NodeID != first.meta.NodeID {
			return fmt.Errorf("%s is of cluster %s, node %d, but %s of cluster %s, node %d: %w",
				first.path, first.meta.ClusterID, first.meta.NodeID, d.path, d.meta.ClusterID, d.meta.NodeID, ErrMismatch)
		}
		if d.meta.DirectoryID == first.meta.DirectoryID {
			return fmt.Errorf("%s and %s have the same directory id %s: %w", first.path, d.path, d.meta.DirectoryID, ErrMismatch)
		}
	}
	return nil
}

func (s *Store) unlock() {
	for _, d := range s.dirs {
		d.unmount()
		if err := d.lock.Close(); err != nil {
			s.logger.Warn("log directory stays locked", slog.String("directory", d.path), slog.Any("error", err))
		}
	}
}

// Folders lists the partitions that were on disk when the store was opened or were made since, by name, and those that should be there (Missing).
func (s *Store) Folders() []Folder {
	var out []Folder
	for _, d := range s.dirs {
		d.mu.Lock()
		for tp, id := range d.folders {
			out = append(out, Folder{Topic: tp.Topic, Partition: tp.Partition, ID: id, Directory: d.path})
		}
		for tp, id := range d.vouch {
			if _, ok := d.folders[tp]; !ok {
				out = append(out, Folder{Topic: tp.Topic, Partition: tp.Partition, ID: id, Directory: d.path, Missing: true})
			}
		}
		d.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Folder) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	return out
}

// Open returns the log of a partition, which is not open yet. It is loaded on first use; a new one has no folder before its first append.
// Errors: INCONSISTENT_TOPIC_ID if the folder on disk is that of another topic of the name, KAFKA_STORAGE_ERROR if no directory is online.
func (s *Store) Open(tp protocol.TopicPartition, id protocol.TopicID, c Config, o Observer) (*Log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[tp] != nil {
		return nil, fmt.Errorf("open log %s: it is open", tp)
	}
	d, err := s.home(tp, id)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", tp, err)
	}
	l := newLog(d, tp, id, c, o)
	s.logs[tp] = l
	d.mu.Lock()
	d.logs[tp] = l
	d.mu.Unlock()
	return l, nil
}

// home is the directory that has the partition, else the one with the fewest.
func (s *Store) home(tp protocol.TopicPartition, id protocol.TopicID) (*directory, error) {
	var best *directory
	fewest := 0
	for _, d := range s.dirs {
		d.mu.Lock()
		onDisk, ok := d.folders[tp]
		_, vouched := d.vouch[tp]
		n := max(len(d.folders), len(d.logs)) // few are in one of them alone
		d.mu.Unlock()
		if ok && !onDisk.IsZero() && onDisk != id {
			return nil, protocol.Errorf(kerr.InconsistentTopicID, "folder %s belongs to topic id %s, not %s", d.join(tp.String()), onDisk, id)
		}
		if ok || vouched {
			return d, nil
		}
		if d.err() == nil && (best == nil || n < fewest) {
			best, fewest = d, n
		}
	}
	if best == nil {
		return nil, storageError(errors.New("no log directory is online"))
	}
	return best, nil
}

// Unsettled tells whether Settle has something to do. It is cheap.
func (s *Store) Unsettled() bool {
	for _, d := range s.dirs {
		if d.flusher.wanted.Load() {
			return true
		}
	}
	return false
}

// Settle flushes what Log.WantFlush was called for, on the caller's goroutine if the disks are quick and idle; else it leaves that to the flushers.
func (s *Store) Settle() {
	for _, d := range s.dirs {
		d.flusher.settle()
	}
}

// Run flushes, retains, compacts, checkpoints and removes until ctx ends; it watches the disks. It is called once.
//
// Errors: ErrOffline when the last directory has failed; there is nothing left to run for.
func (s *Store) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, d := range s.dirs {
		d.start()
	}
	var wg sync.WaitGroup
	for _, d := range s.dirs {
		wg.Go(func() { d.flusher.run(ctx) })
	}
	for _, d := range s.dirs {
		wg.Go(func() { d.room.run(ctx) })
	}
	wg.Go(func() { s.keepHouse(ctx) })
	wg.Go(func() { s.scrub(ctx) })
	wg.Go(func() { s.watchStalls(ctx) })
	if !s.options.CleanerOff {
		wg.Go(func() { newCleaner(s).run(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case <-s.dead:
		err = s.dirs[len(s.dirs)-1].err()
		cancel()
	}
	wg.Wait()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return nil
}

// directoryFailed ends Run if there is nothing left to run for.
func (s *Store) directoryFailed() {
	if slices.ContainsFunc(s.dirs, func(d *directory) bool { return !d.reported.Load() }) {
		return
	}
	s.ended.Do(func() { close(s.dead) })
}

// Close makes everything durable, writes what a clean start needs, and unlocks. Run has returned, nobody uses the logs any more.
func (s *Store) Close() error {
	var errs []error
	for _, d := range s.dirs {
		errs = append(errs, d.close())
	}
	s.unlock()
	return errors.Join(errs...)
}
