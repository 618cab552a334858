package ottla

import (
	"path/filepath"
	"time"

	"ottla/controller"
	"ottla/log"
	"ottla/protocol"
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

// soleQuorum shows the handlers a quorum of one: what is applied is all that there is, and the voter never lags behind itself.
type soleQuorum struct {
	controller *controller.Controller
	self       protocol.BrokerID
	store      *log.Store // the metadata log lives in its first directory
}

func (q soleQuorum) Quorum() handlers.QuorumStatus {
	img, now := q.controller.Image(), time.Now().UnixMilli()
	end := img.Offset() + 1
	var directory protocol.DirectoryID
	if online := q.store.Directories(); len(online) > 0 { // none: the node is about to end
		directory = online[0]
	}
	return handlers.QuorumStatus{Leader: img.ControllerID(), Term: img.Term(), HighWatermark: end,
		Voters: []handlers.QuorumReplica{{ID: q.self, Directory: directory, LogEnd: end, LastFetchMs: now, LastCaughtMs: now}}}
}
