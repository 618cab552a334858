package log

import (
	"fmt"

	"ottla/log/checkpoint"
	"ottla/protocol"
)

// Meta is what the directories belong to, with the id of the first one; false before Format.
func (s *Store) Meta() (checkpoint.Meta, bool) {
	for _, d := range s.dirs {
		if d.meta.ClusterID != "" {
			return d.meta, true
		}
	}
	return checkpoint.Meta{}, false
}

// Format binds the directories that are new to a cluster and a node, and gives them ids: the first one the given id, if it has none. Directories that are bound already must agree: else ErrMismatch, and nothing is
// changed. It may be called at every start.
func (s *Store) Format(clusterID string, node protocol.BrokerID, first protocol.DirectoryID) error {
	for _, d := range s.dirs {
		if d.meta.ClusterID != "" && (d.meta.ClusterID != clusterID || d.meta.NodeID != node) {
			return fmt.Errorf("log directory %s is of cluster %s, node %d, not of cluster %s, node %d: %w", d.path, d.meta.ClusterID, d.meta.NodeID, clusterID, node, ErrMismatch)
		}
	}
	for i, d := range s.dirs {
		if d.meta.ClusterID != "" && !d.meta.DirectoryID.IsZero() {
			continue
		}
		meta := checkpoint.Meta{ClusterID: clusterID, NodeID: node, DirectoryID: first}
		if i > 0 {
			meta.DirectoryID = protocol.NewID()
		}
		if err := checkpoint.WriteMeta(d.fs, d.path, meta); err != nil {
			return fmt.Errorf("log directory %s: %w", d.path, err)
		}
		d.meta = meta
	}
	return nil
}

// Directories are the ids of the log directories that are online, in the order of log.dirs; zero before Format.
func (s *Store) Directories() []protocol.DirectoryID {
	var out []protocol.DirectoryID
	for _, d := range s.dirs {
		if d.err() == nil {
			out = append(out, d.meta.DirectoryID)
		}
	}
	return out
}
