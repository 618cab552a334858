package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"ottla/log/vfs"
	"ottla/protocol"
)

// DamageName is the file of a partition's folder that says which of its records are damaged. There is none while all are sound.
const DamageName = "ottla-damage-checkpoint"

// Damage is records that are not what was written: the offsets From to before To, at the bytes Position to before End of the segment with base offset Base.
type Damage struct {
	Base, From, To protocol.Offset
	Position, End  int64
}

// ReadDamage reads the file in a partition's folder: a table of "base from to position end". No file is no damage.
func ReadDamage(fsys vfs.FS, dir string) ([]Damage, error) {
	data, err := read(fsys, dir, DamageName, maxTable)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Damage
	err = parseTable(data, 5, func(fields [][]byte) error {
		var n [5]int64
		for i := range n {
			var ok bool
			if n[i], ok = parseNumber(fields[i], math.MaxInt64); !ok {
				return malformed("number %q", fields[i])
			}
		}
		all = append(all, Damage{protocol.Offset(n[0]), protocol.Offset(n[1]), protocol.Offset(n[2]), n[3], n[4]})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Join(dir, DamageName), err)
	}
	return all, nil
}

// WriteDamage replaces the file, durably; without damage it goes.
func WriteDamage(fsys vfs.FS, dir string, all []Damage) error {
	if len(all) == 0 {
		err := fsys.Remove(path.Join(dir, DamageName))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = fsys.SyncDir(dir)
		}
		return err
	}
	b := appendTableHead(nil, len(all))
	for _, d := range all {
		b = fmt.Appendf(b, "%d %d %d %d %d\n", d.Base, d.From, d.To, d.Position, d.End)
	}
	return replace(fsys, dir, DamageName, b)
}
