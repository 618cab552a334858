package log

import (
	"ottla/log/producer"
	"ottla/protocol"
)

// DirectoryInfo is what is shown of one log directory.
type DirectoryInfo struct {
	Path        string
	Err         error // why it is offline; then there is nothing else
	Total, Free int64 // bytes of its file system, and those that this process may still write; -1: unknown
	Logs        []LogInfo
}

// LogInfo is what is shown of one open log.
type LogInfo struct {
	Partition protocol.TopicPartition
	Size      int64 // bytes of all segments
}

// Describe looks at every log directory. It asks the file systems, and loads logs that nobody has used yet: it is for operators.
func (s *Store) Describe() []DirectoryInfo {
	list := make([]DirectoryInfo, 0, len(s.dirs))
	for _, d := range s.dirs {
		i := DirectoryInfo{Path: d.path, Err: d.err(), Total: -1, Free: -1}
		if i.Err != nil {
			list = append(list, i)
			continue
		}
		if space, err := d.fs.Space(d.path); err == nil {
			i.Total, i.Free = space.Total, space.Free
		}
		d.mu.Lock()
		logs := make([]*Log, 0, len(d.logs))
		for _, l := range d.logs {
			logs = append(logs, l)
		}
		d.mu.Unlock()
		for _, l := range logs {
			i.Logs = append(i.Logs, LogInfo{l.tp, l.Size()})
		}
		list = append(list, i)
	}
	return list
}

// Producers are the idempotent producers that the log remembers, by id.
func (l *Log) Producers() ([]producer.Info, error) {
	if err := l.ensure(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.producers.Describe(), nil
}
