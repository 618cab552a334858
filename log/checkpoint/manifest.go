package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"math"
	"path"
	"slices"
	"strings"

	"ottla/log/vfs"
	"ottla/protocol"
)

// ManifestName is the file of a log directory that lists the folders of its partitions. A folder that stands there but is not on disk has been lost: its replica
// must not vouch for anything. A partition that was never written has neither.
const ManifestName = "ottla.folders"

// The manifest is text. After the first line each line is one append: a checksum (CRC-32C of what follows the space, in hexadecimal) and its changes.
//
//	ottla.folders 1
//	f6a65704 +orders-0/WYmdPIVgRpqd4cJ4y4VOMQ +orders-1/WYmdPIVgRpqd4cJ4y4VOMQ
//	b372dac5 -orders-0
//
// An append is fsynced before the next one begins, so only the last line can be torn, and what it said was never promised: it is cut away. A bad line with a good
// one behind it is damage. When dead lines outweigh the living, the file is replaced by a short one.
const manifestHead = "ottla.folders 1\n"

// slack is how many changes more than there are folders the file may hold.
const slack = 1024

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Folder is a partition's folder that has been made.
type Folder struct {
	Partition protocol.TopicPartition
	ID        protocol.TopicID
}

// Manifest is the open list of folders. It is not safe for concurrent use: its methods wait for the disk, and its owner calls them one at a time.
type Manifest struct {
	fs      vfs.FS
	dir     string
	file    vfs.File
	size    int64 // bytes of whole lines
	changes int   // in the file
	folders map[protocol.TopicPartition]protocol.TopicID
	failed  error // after a write that failed, other than for want of room, nothing is tried again: what is on disk is not known
}

// CreateManifest replaces the manifest in dir by one that lists the given folders, durably, and opens it.
func CreateManifest(fsys vfs.FS, dir string, folders []Folder) (*Manifest, error) {
	m := &Manifest{fs: fsys, dir: dir, folders: map[protocol.TopicPartition]protocol.TopicID{}}
	for _, f := range folders {
		m.folders[f.Partition] = f.ID
	}
	if err := m.rewrite(); err != nil {
		return nil, err
	}
	return m, nil
}

// OpenManifest opens the manifest in dir; fs.ErrNotExist if there is none, ErrMalformed if it is damaged. A torn tail is cut away.
func OpenManifest(fsys vfs.FS, dir string) (*Manifest, error) {
	data, err := read(fsys, dir, ManifestName, maxTable)
	if err != nil {
		return nil, err
	}
	m := &Manifest{fs: fsys, dir: dir, folders: map[protocol.TopicPartition]protocol.TopicID{}}
	if err := m.parse(data); err != nil {
		return nil, fmt.Errorf("read %s: %w", m.name(), err)
	}
	if m.file, err = fsys.Open(m.name()); err != nil {
		return nil, err
	}
	if m.size < int64(len(data)) {
		if err := m.cutTail(); err != nil {
			_ = m.file.Close() // the first error is the one that tells
			return nil, fmt.Errorf("cut %s: %w", m.name(), err)
		}
	}
	return m, nil
}

// ReadManifest reads the manifest in dir and changes nothing; torn tells whether there is a torn tail, which OpenManifest would cut away. Errors are those of OpenManifest.
func ReadManifest(fsys vfs.FS, dir string) (folders []Folder, torn bool, err error) {
	data, err := read(fsys, dir, ManifestName, maxTable)
	if err != nil {
		return nil, false, err
	}
	m := &Manifest{dir: dir, folders: map[protocol.TopicPartition]protocol.TopicID{}}
	if err := m.parse(data); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", m.name(), err)
	}
	return m.Folders(), m.size < int64(len(data)), nil
}

func (m *Manifest) name() string { return path.Join(m.dir, ManifestName) }

func (m *Manifest) cutTail() error {
	if err := m.file.Truncate(m.size); err != nil {
		return err
	}
	return m.file.Sync()
}

func (m *Manifest) parse(data []byte) error {
	rest, ok := bytes.CutPrefix(data, []byte(manifestHead))
	if !ok {
		return malformed("does not begin with %q", manifestHead)
	}
	m.size = int64(len(manifestHead))
	for len(rest) > 0 {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		changes, sound := checked(line)
		if !whole || !sound {
			if anySound(after) {
				return malformed("line at byte %d does not match its checksum", m.size)
			}
			return nil // torn
		}
		if err := m.replay(string(changes)); err != nil {
			return err
		}
		m.size += int64(len(line)) + 1
		rest = after
	}
	return nil
}

// checked is a line without its checksum, and whether that fits.
func checked(line []byte) ([]byte, bool) {
	sum, changes, ok := bytes.Cut(line, []byte{' '})
	return changes, ok && string(sum) == checksum(changes)
}

// anySound tells whether data holds a line that fits its checksum.
func anySound(data []byte) bool {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if _, sound := checked(line); sound {
			return true
		}
	}
	return false
}

func checksum(changes []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(changes, castagnoli))
}

// replay applies the changes of one line.
func (m *Manifest) replay(changes string) error {
	for change := range strings.SplitSeq(changes, " ") {
		m.changes++
		name, id, hasID := strings.Cut(change[min(1, len(change)):], "/")
		tp, err := parseFolderName(name)
		if err != nil {
			return err
		}
		switch {
		case change[0] == '+' && hasID:
			if m.folders[tp], err = parseID(id); err != nil {
				return err
			}
		case change[0] == '-' && !hasID:
			delete(m.folders, tp)
		default:
			return malformed("change %q", change)
		}
	}
	return nil
}

// parseFolderName reads topic-partition; the topic may hold dashes.
func parseFolderName(name string) (protocol.TopicPartition, error) {
	dash := strings.LastIndexByte(name, '-')
	if dash < 0 {
		return protocol.TopicPartition{}, malformed("folder name %q", name)
	}
	partition, ok := parseNumber([]byte(name[dash+1:]), math.MaxInt32)
	tp := protocol.TopicPartition{Topic: name[:dash], Partition: int32(partition)}
	if !ok || tp.String() != name || protocol.ValidateTopicName(tp.Topic) != nil {
		return protocol.TopicPartition{}, malformed("folder name %q", name)
	}
	return tp, nil
}

// Folders lists the folders by topic and partition.
func (m *Manifest) Folders() []Folder {
	out := make([]Folder, 0, len(m.folders))
	for tp, id := range m.folders {
		out = append(out, Folder{tp, id})
	}
	slices.SortFunc(out, func(a, b Folder) int {
		return cmp.Or(cmp.Compare(a.Partition.Topic, b.Partition.Topic), cmp.Compare(a.Partition.Partition, b.Partition.Partition))
	})
	return out
}

// Add lists folders, durably; those that are listed with the same id cost nothing. The folders themselves are durable before.
func (m *Manifest) Add(folders ...Folder) error {
	var line []byte
	added := 0
	for _, f := range folders {
		if id, listed := m.folders[f.Partition]; listed && id == f.ID {
			continue
		}
		line = fmt.Appendf(line, "+%s/%s ", f.Partition, f.ID)
		added++
	}
	if err := m.append(line, added); err != nil {
		return err
	}
	for _, f := range folders {
		m.folders[f.Partition] = f.ID
	}
	return m.compact()
}

// Remove takes folders off the list, durably. It comes before the folders go from the disk.
func (m *Manifest) Remove(partitions ...protocol.TopicPartition) error {
	var line []byte
	removed := 0
	for _, tp := range partitions {
		if _, listed := m.folders[tp]; listed {
			line = fmt.Appendf(line, "-%s ", tp)
			removed++
		}
	}
	if err := m.append(line, removed); err != nil {
		return err
	}
	for _, tp := range partitions {
		delete(m.folders, tp)
	}
	return m.compact()
}

// append writes one line of changes, each followed by a space, and waits until it is durable.
func (m *Manifest) append(changes []byte, count int) error {
	if m.failed != nil {
		return m.failed
	}
	if count == 0 {
		return nil
	}
	line := appendLine(nil, changes)
	_, err := m.file.WriteAt(line, m.size)
	if err != nil && vfs.DiskFull(err) && m.file.Truncate(m.size) == nil {
		return fmt.Errorf("append to %s: %w", m.name(), err)
	}
	if err == nil {
		err = m.file.Sync()
	}
	if err != nil {
		m.failed = fmt.Errorf("append to %s: %w", m.name(), err)
		return m.failed
	}
	m.size += int64(len(line))
	m.changes += count
	return nil
}

func appendLine(b, changes []byte) []byte {
	changes = bytes.TrimSuffix(changes, []byte{' '})
	b = append(append(b, checksum(changes)...), ' ')
	return append(append(b, changes...), '\n')
}

// compact replaces the file when most of it is history. Without the room for another file it stays as it is.
func (m *Manifest) compact() error {
	if m.changes <= 2*len(m.folders)+slack {
		return nil
	}
	err := m.rewrite()
	if err != nil && vfs.DiskFull(err) {
		return nil
	}
	if err != nil {
		m.failed = err
	}
	return err
}

// rewrite replaces the file by one that lists the folders, a line each, and opens that.
func (m *Manifest) rewrite() error {
	data := []byte(manifestHead)
	for _, f := range m.Folders() {
		data = appendLine(data, fmt.Appendf(nil, "+%s/%s", f.Partition, f.ID))
	}
	err := replace(m.fs, m.dir, ManifestName, data)
	if err == nil && m.file != nil {
		err = m.file.Close()
	}
	if err == nil {
		m.file, err = m.fs.Open(m.name())
	}
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", m.name(), err)
	}
	m.size, m.changes = int64(len(data)), len(m.folders)
	return nil
}

// Close closes the file; there is nothing to flush.
func (m *Manifest) Close() error { return m.file.Close() }
