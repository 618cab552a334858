package checkpoint

import (
	"fmt"
	"math"
	"path"
	"strconv"

	"ottla/log/vfs"
	"ottla/protocol"
)

// EpochsName is the file of a partition's folder that says where its leader epochs began.
const EpochsName = "leader-epoch-checkpoint"

// Epoch is the offset of the first record that a leader epoch wrote.
type Epoch struct {
	Epoch protocol.LeaderEpoch
	Start protocol.Offset
}

// ReadEpochs reads the leader epochs in a partition's folder. Epochs rise from line to line, and starts do not fall.
func ReadEpochs(fsys vfs.FS, dir string) ([]Epoch, error) {
	data, err := read(fsys, dir, EpochsName, maxTable)
	if err != nil {
		return nil, err
	}
	epochs, err := parseEpochs(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Join(dir, EpochsName), err)
	}
	return epochs, nil
}

// parseEpochs reads lines of "epoch start".
func parseEpochs(data []byte) ([]Epoch, error) {
	var epochs []Epoch
	err := parseTable(data, 2, func(fields [][]byte) error {
		epoch, ok := parseNumber(fields[0], math.MaxInt32)
		if !ok {
			return malformed("epoch %q", fields[0])
		}
		start, ok := parseNumber(fields[1], math.MaxInt64)
		if !ok {
			return malformed("start %q of epoch %d", fields[1], epoch)
		}
		e := Epoch{protocol.LeaderEpoch(epoch), protocol.Offset(start)}
		if n := len(epochs); n > 0 && (e.Epoch <= epochs[n-1].Epoch || e.Start < epochs[n-1].Start) {
			return malformed("epoch %d from %d after epoch %d from %d", e.Epoch, e.Start, epochs[n-1].Epoch, epochs[n-1].Start)
		}
		epochs = append(epochs, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return epochs, nil
}

// WriteEpochs replaces the leader epochs in a partition's folder.
func WriteEpochs(fsys vfs.FS, dir string, epochs []Epoch) error {
	return replace(fsys, dir, EpochsName, appendEpochs(nil, epochs))
}

func appendEpochs(b []byte, epochs []Epoch) []byte {
	b = appendTableHead(b, len(epochs))
	for _, e := range epochs {
		b = append(strconv.AppendInt(b, int64(e.Epoch), 10), ' ')
		b = append(strconv.AppendInt(b, int64(e.Start), 10), '\n')
	}
	return b
}
