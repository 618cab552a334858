package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"

	"ottla/log/vfs"
)

// The state file "quorum-state", numbers big-endian, each part in a 4 KiB page of its own:
//
//	   0  magic       8  "ottlaqst"
//	   8  version     2  1
//	  10  raft id     8  random, of this directory's incarnation
//	  18  length      2  of the cluster id
//	  20  cluster id  …  at most 256 bytes
//	      CRC-32C     4  of everything before
//	4096  slot
//	8192  slot
//
// A slot:
//
//	 0  sequence  8  the higher one counts
//	 8  term      8
//	16  vote      8
//	24  commit    8
//	32  CRC-32C   4  of the slot before
//
// A slot is written over in place, which a power cut may tear. So the slot whose sync came last is left alone until the other one has been synced: lazy writes
// go to the other slot, again and again, and a synced write makes that one the slot to be left alone.
const (
	stateName    = "quorum-state"
	statePage    = 4096
	stateSize    = 3 * statePage
	stateMagic   = "ottlaqst"
	stateVersion = 1
	slotSize     = 36
	maxClusterID = 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// identity is whose state a folder holds.
type identity struct {
	raftID    uint64
	clusterID string
}

// hardState is raft's, as stored.
type hardState struct{ term, vote, commit uint64 }

// stateFile is the open file.
type stateFile struct {
	file     vfs.File
	sequence uint64 // of the newest slot
	synced   int    // the slot that must not be torn: 0 or 1
}

// createState makes the file with its first state; it exists, whole and durable, or not at all.
func createState(fsys vfs.FS, dir string, id identity, hs hardState) error {
	if len(id.clusterID) > maxClusterID {
		return fmt.Errorf("create %s: cluster id of %d bytes, at most %d", stateName, len(id.clusterID), maxClusterID)
	}
	b := append(make([]byte, 0, stateSize), stateMagic...)
	b = binary.BigEndian.AppendUint16(b, stateVersion)
	b = binary.BigEndian.AppendUint64(b, id.raftID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(id.clusterID)))
	b = append(b, id.clusterID...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	b = b[:stateSize]
	hs.encode(b[statePage:], 1)
	return writeFile(fsys, dir, stateName, func(f vfs.File) error {
		_, err := f.WriteAt(b, 0)
		return err
	})
}

// writeFile makes a file under a temporary name, then durable, then known under its own.
func writeFile(fsys vfs.FS, dir, name string, fill func(vfs.File) error) error {
	temporary, final := path.Join(dir, name+temporarySuffix), path.Join(dir, name)
	f, err := fsys.Create(temporary)
	if err != nil {
		return fmt.Errorf("write %s: %w", final, err)
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(temporary, final)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		_ = fsys.Remove(temporary) // the next one may need the room; if it stays, the next Open removes it
		return fmt.Errorf("write %s: %w", final, err)
	}
	return nil
}

// openState reads the file. An error that is fs.ErrNotExist means there is none yet; ErrDamaged that it is not as it was left.
func openState(fsys vfs.FS, dir string) (*stateFile, identity, hardState, error) {
	f, err := fsys.Open(path.Join(dir, stateName))
	if err != nil {
		return nil, identity{}, hardState{}, fmt.Errorf("open %s: %w", stateName, err)
	}
	s := &stateFile{file: f}
	id, hs, err := s.read()
	if err != nil {
		return nil, identity{}, hardState{}, errors.Join(fmt.Errorf("read %s: %w", stateName, err), f.Close())
	}
	return s, id, hs, nil
}

func (s *stateFile) read() (identity, hardState, error) {
	b := make([]byte, stateSize)
	if n, err := s.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return identity{}, hardState{}, err
	} else if n != stateSize {
		return identity{}, hardState{}, fmt.Errorf("%w: %d bytes, want %d", ErrDamaged, n, stateSize)
	}
	id, err := parseIdentity(b[:statePage])
	if err != nil {
		return identity{}, hardState{}, err
	}
	var newest hardState
	for n := range 2 {
		if hs, sequence, ok := parseSlot(b[(n+1)*statePage:]); ok && sequence > s.sequence {
			newest, s.sequence, s.synced = hs, sequence, n
		}
	}
	if s.sequence == 0 {
		return identity{}, hardState{}, fmt.Errorf("%w: neither slot is whole", ErrDamaged)
	}
	// The newest slot may have been a lazy one that only the page cache holds. From here on it is the one to rely on, so it is made durable.
	if err := s.file.SyncData(); err != nil {
		return identity{}, hardState{}, err
	}
	return id, newest, nil
}

func parseIdentity(b []byte) (identity, error) {
	if string(b[:8]) != stateMagic {
		return identity{}, fmt.Errorf("%w: no magic", ErrDamaged)
	}
	n := int(binary.BigEndian.Uint16(b[18:]))
	if n > maxClusterID || crc32.Checksum(b[:20+n], castagnoli) != binary.BigEndian.Uint32(b[20+n:]) {
		return identity{}, fmt.Errorf("%w: the CRC of the head is wrong", ErrDamaged)
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != stateVersion {
		return identity{}, fmt.Errorf("version %d is not one that this build reads", v)
	}
	return identity{raftID: binary.BigEndian.Uint64(b[10:]), clusterID: string(b[20 : 20+n])}, nil
}

func (hs hardState) encode(b []byte, sequence uint64) {
	binary.BigEndian.PutUint64(b, sequence)
	binary.BigEndian.PutUint64(b[8:], hs.term)
	binary.BigEndian.PutUint64(b[16:], hs.vote)
	binary.BigEndian.PutUint64(b[24:], hs.commit)
	binary.BigEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli))
}

func parseSlot(b []byte) (hs hardState, sequence uint64, ok bool) {
	if crc32.Checksum(b[:32], castagnoli) != binary.BigEndian.Uint32(b[32:]) {
		return hardState{}, 0, false
	}
	hs = hardState{term: binary.BigEndian.Uint64(b[8:]), vote: binary.BigEndian.Uint64(b[16:]), commit: binary.BigEndian.Uint64(b[24:])}
	return hs, binary.BigEndian.Uint64(b), true
}

// writeLazy puts hs where a power cut may lose it, but not what was synced before.
func (s *stateFile) writeLazy(hs hardState) error {
	var b [slotSize]byte
	s.sequence++
	hs.encode(b[:], s.sequence)
	if _, err := s.file.WriteAt(b[:], int64(1+(1-s.synced))*statePage); err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	return nil
}

// writeSync is writeLazy, made durable.
func (s *stateFile) writeSync(hs hardState) error {
	if err := s.writeLazy(hs); err != nil {
		return err
	}
	if err := s.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", stateName, err)
	}
	s.synced = 1 - s.synced
	return nil
}

// close makes the last commit durable.
func (s *stateFile) close() error { return errors.Join(s.file.SyncData(), s.file.Close()) }

// Founded tells whether the folder holds a node's memory.
func Founded(fsys vfs.FS, dir string) (bool, error) {
	_, err := fsys.Stat(path.Join(dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
