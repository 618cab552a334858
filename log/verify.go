package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"ottla/log/checkpoint"
	"ottla/log/segment"
	"ottla/log/vfs"
	"ottla/protocol"
)

// Verify checks everything that a start would believe, in a log directory or in one partition's folder of it, and changes nothing: batches (header, CRC, order of offsets and epochs),
// indexes, epochs, producer snapshots, the manifest and the checkpoints. It does not know topics' configurations: of one with ottla.durability=memory it may call damage what a start after a
// power cut would cut. dir is an absolute path or one whose last part is a name; a folder that is named like a partition's is one unless it has a meta.properties.
//
// Errors: vfs.ErrLocked while a process has the directory; those of the file system.
func Verify(fsys vfs.FS, dir string) (*Verification, error) {
	v := verifier{fs: readOnly{fsys}, dir: dir}
	v.files = segment.NewFiles(v.fs, 64)
	only, alone, err := v.lone()
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	if alone {
		v.dir = path.Dir(dir)
	}
	v.report = &Verification{Directory: v.dir}
	unlock, err := v.lock(fsys)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	defer unlock()
	if err := v.directory(alone); err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	partitions := v.partitions
	if alone {
		partitions = []protocol.TopicPartition{only}
	}
	for _, tp := range partitions {
		if err := v.partition(tp); err != nil {
			return nil, fmt.Errorf("verify %s: %w", path.Join(v.dir, tp.String()), err)
		}
	}
	v.files.CloseIdle()
	v.files.CloseIdle() // what was used since the first
	return v.report, nil
}

// readOnly opens files for reading alone; nothing that changes a file is ever called.
type readOnly struct{ vfs.FS }

func (r readOnly) Open(name string) (vfs.File, error) { return r.OpenReadOnly(name) }

// verifier is the state of one Verify.
type verifier struct {
	fs     vfs.FS
	files  *segment.Files
	dir    string
	report *Verification

	partitions            []protocol.TopicPartition // with a folder
	ids                   map[protocol.TopicPartition]protocol.TopicID
	points, starts, highs offsetTable
}

// lone tells whether the folder is that of one partition: it has the name of one (as a data folder may have, data-7), and is not a log directory.
func (v *verifier) lone() (tp protocol.TopicPartition, alone bool, err error) {
	if tp, alone = parseFolder(path.Base(v.dir)); !alone {
		return tp, false, nil
	}
	_, err = v.fs.Stat(path.Join(v.dir, checkpoint.MetaName))
	if errors.Is(err, fs.ErrNotExist) {
		return tp, true, nil
	}
	return tp, false, err
}

// lock keeps others out where there is a lock already: one is not made.
func (v *verifier) lock(fsys vfs.FS) (unlock func(), err error) {
	name := path.Join(v.dir, lockName)
	if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	l, err := fsys.Lock(name)
	if err != nil {
		return nil, err
	}
	return func() { _ = l.Close() }, nil
}

func (v *verifier) found(s Severity, file, format string, args ...any) {
	v.report.Findings = append(v.report.Findings, Finding{s, path.Join(v.dir, file), -1, protocol.NoOffset, fmt.Sprintf(format, args...)})
}

// directory reads the small files of the log directory. Those that are missing have never been written, or the folder was copied without them.
func (v *verifier) directory(alone bool) (err error) {
	if _, err := v.fs.ReadDir(v.dir); err != nil {
		return err
	}
	if _, err := checkpoint.ReadMeta(v.fs, v.dir); errors.Is(err, checkpoint.ErrMalformed) {
		v.found(Damage, checkpoint.MetaName, "%v", err)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = checkpoint.ReadCleanShutdown(v.fs, v.dir)
	v.report.Clean = err == nil || errors.Is(err, checkpoint.ErrMalformed)
	for name, table := range map[string]*offsetTable{checkpoint.RecoveryPoints: &v.points, checkpoint.LogStarts: &v.starts, checkpoint.HighWatermarks: &v.highs} {
		if *table, err = checkpoint.ReadOffsets(v.fs, v.dir, name); errors.Is(err, checkpoint.ErrMalformed) {
			v.found(Damage, name, "%v", err)
			v.report.Clean = false
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := checkpoint.ReadBoot(v.fs, v.dir); errors.Is(err, checkpoint.ErrMalformed) {
		v.found(Note, checkpoint.BootName, "an unclean stop counts as a power cut: %v", err)
	}
	return v.folders(alone)
}

// folders compares what is there with the manifest.
func (v *verifier) folders(alone bool) error {
	entries, err := v.fs.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if tp, ok := parseFolder(e.Name()); ok && e.IsDir() {
			v.partitions = append(v.partitions, tp)
		}
	}
	listed, torn, err := checkpoint.ReadManifest(v.fs, v.dir)
	switch {
	case errors.Is(err, checkpoint.ErrMalformed):
		v.found(Damage, checkpoint.ManifestName, "%v", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if torn {
		v.found(Tail, checkpoint.ManifestName, "its last line is torn")
	}
	v.ids = map[protocol.TopicPartition]protocol.TopicID{}
	for _, f := range listed {
		v.ids[f.Partition] = f.ID
		if !alone && !slices.Contains(v.partitions, f.Partition) {
			v.found(Damage, f.Partition.String(), "%v, although it was made durable", ErrLost)
		}
	}
	return nil
}

// partition checks one folder.
func (v *verifier) partition(tp protocol.TopicPartition) error {
	p := partitionVerifier{v: v, tp: tp, folder: path.Join(v.dir, tp.String()), next: protocol.NoOffset}
	p.report.Partition, p.report.Findings = tp.String(), []Finding{}
	_, p.vouched = v.ids[tp]
	if p.vouched {
		p.point, p.floor = v.points[tp], max(v.points[tp], v.highs[tp])
	}
	err := p.verify()
	v.report.Partitions = append(v.report.Partitions, p.report)
	return err
}

// segments lists the segments of a folder, ascending.
func (p *partitionVerifier) segments() ([]*segment.Segment, error) {
	entries, err := p.v.fs.ReadDir(p.folder)
	if err != nil {
		return nil, err
	}
	var found []*segment.Segment
	for _, e := range entries {
		base, suffix, ok := segment.ParseName(e.Name())
		switch {
		case segment.Leftover(e.Name()):
			p.found(Note, e.Name(), -1, protocol.NoOffset, "left over from an interrupted operation")
		case ok && suffix == segment.LogSuffix:
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			found = append(found, segment.Found(p.v.files, p.folder, base, info.Size(), info.ModTime().UnixMilli()))
		case ok && suffix == segment.SnapshotSuffix:
			p.snapshots = append(p.snapshots, base)
		case strings.HasSuffix(e.Name(), ".tmp"):
			p.found(Note, e.Name(), -1, protocol.NoOffset, "left over from an interrupted write")
		}
	}
	slices.SortFunc(found, func(a, b *segment.Segment) int { return int(min(1, max(-1, a.Base()-b.Base()))) })
	return found, nil
}
