package checkpoint

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"ottla/log/vfs"
	"ottla/protocol"
)

// BootName is the file of a log directory that says in which run of the machine the directory was written to last.
const BootName = "ottla.boot"

// Boot is the run of the machine in which a log directory was changed last. The same one at the next start means that the machine did not stop in between: everything
// that was written is in the page cache.
type Boot struct {
	ID string // of the run, as the kernel gives it
	// Suspects are the partitions that an earlier run of the machine left unclean and that nobody has recovered since: their bytes may be anything, in this run too.
	Suspects []protocol.TopicPartition
}

// ReadBoot reads the file in a log directory; fs.ErrNotExist if there is none, ErrMalformed if it is damaged. The first line is the checksum of what follows (CRC-32C,
// hexadecimal), then come the id and a line per suspect:
//
//	0c7a5a5b
//	8f8a5cd8-3c0f-4a51-8ca1-6e4c2b0b2a6e
//	orders-0
func ReadBoot(fsys vfs.FS, dir string) (Boot, error) {
	data, err := read(fsys, dir, BootName, maxTable)
	if err != nil {
		return Boot{}, err
	}
	b, err := parseBoot(data)
	if err != nil {
		return Boot{}, fmt.Errorf("read %s: %w", path.Join(dir, BootName), err)
	}
	return b, nil
}

func parseBoot(data []byte) (Boot, error) {
	sum, rest, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || string(sum) != checksum(rest) {
		return Boot{}, malformed("the checksum does not match")
	}
	names := strings.Split(strings.TrimSuffix(string(rest), "\n"), "\n")
	b := Boot{ID: names[0]}
	for _, name := range names[1:] {
		tp, err := parseFolderName(name)
		if err != nil {
			return Boot{}, err
		}
		b.Suspects = append(b.Suspects, tp)
	}
	return b, nil
}

// WriteBoot replaces the file, durably.
func WriteBoot(fsys vfs.FS, dir string, b Boot) error {
	return replace(fsys, dir, BootName, appendBoot(b))
}

func appendBoot(b Boot) []byte {
	names := make([]string, 0, len(b.Suspects))
	for _, tp := range b.Suspects {
		names = append(names, tp.String()+"\n")
	}
	slices.Sort(names)
	rest := b.ID + "\n" + strings.Join(names, "")
	return append([]byte(checksum([]byte(rest))+"\n"), rest...)
}
