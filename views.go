package ottla

import (
	"path/filepath"

	"ottla/log"
	"ottla/protocol/handlers"
)

// logDirs shows the handlers what the store has.
type logDirs struct{ *log.Store }

func (l logDirs) LogDirs() []handlers.LogDir {
	var out []handlers.LogDir
	for _, d := range l.Describe() {
		o := handlers.LogDir{Path: d.Path, Err: d.Err, Total: d.Total, Free: d.Free}
		if abs, err := filepath.Abs(d.Path); err == nil { // it fails where the process has no working directory any more
			o.Path = abs
		}
		for _, p := range d.Logs {
			o.Partitions = append(o.Partitions, handlers.LogDirPartition{TopicPartition: p.Partition, Size: p.Size})
		}
		out = append(out, o)
	}
	return out
}
