package ottla

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"ottla/controller"
	"ottla/log/checkpoint"
	"ottla/protocol"
)

// identify learns from the folders who this node is, before anything in them is touched. In empty ones it is a new node of a cluster that is still to be found.
func (n *Node) identify(context.Context) error {
	var bound []string // folders with a meta.properties
	n.id, n.clusterID = firstNodeID, ""
	if n.nodeID != nil {
		n.id = *n.nodeID
	}
	n.directory = protocol.NewID()
	for i, dir := range n.dirs {
		meta, err := checkpoint.ReadMeta(n.FS, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("log directory %s: %w", dir, err)
		}
		if n.nodeID != nil && *n.nodeID != meta.NodeID {
			return fmt.Errorf("log directory %s is node %d's, and this is to be node %d: nothing was touched", dir, meta.NodeID, *n.nodeID)
		}
		n.id, n.clusterID = meta.NodeID, meta.ClusterID
		if i == 0 && !meta.DirectoryID.IsZero() {
			n.directory = meta.DirectoryID
		}
		bound = append(bound, dir)
	}
	told, err := checkpoint.ReadJoining(n.FS, n.dirs[0])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n.mustJoin = err == nil
	for _, a := range slices.Concat(n.Join, told) {
		if !slices.Contains(n.joining, a) {
			n.joining = append(n.joining, a)
		}
	}
	return errors.Join(n.checkQuorumFolder(bound), n.loadSecret())
}

// checkQuorumFolder refuses folders among which the quorum's is not where it was founded. Going on would found a second quorum beside it, which knows of no topic
// and would have all of them removed.
func (n *Node) checkQuorumFolder(bound []string) error {
	for i, dir := range n.dirs {
		founded, err := controller.Founded(n.FS, path.Join(dir, quorumFolder))
		switch {
		case err != nil:
			return fmt.Errorf("log directory %s: %w", dir, err)
		case founded && i > 0:
			return fmt.Errorf("log directory %s holds the metadata quorum: name it first in log.dirs; nothing was touched", dir)
		case founded && !slices.Contains(bound, dir):
			return fmt.Errorf("log directory %s holds a metadata quorum, but no %s: put the file back; nothing was touched", dir, checkpoint.MetaName)
		case i == 0:
			n.founding = !founded
		}
	}
	return nil
}

// checkFounding refuses to found a cluster among partitions that it would not know.
func (n *Node) checkFounding() error {
	if !n.founding {
		return nil
	}
	for _, f := range n.store.Folders() {
		if f.Topic != protocol.MetadataTopic {
			return fmt.Errorf("log directory %s holds partitions (%s-%d), but %s holds no metadata quorum of ours: it was lost, or another broker wrote them", f.Directory, f.Topic, f.Partition, n.dirs[0])
		}
	}
	return nil
}
