package checkpoint

import (
	"bytes"
	"fmt"
	"math"
	"path"

	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
)

// MetaName is the file of a log directory that binds it to one cluster and one node.
const MetaName = "meta.properties"

// Meta is what a log directory belongs to.
type Meta struct {
	ClusterID   string
	NodeID      protocol.BrokerID
	DirectoryID protocol.DirectoryID // zero in a folder of a Kafka older than 3.7
}

// ReadMeta reads a log directory's meta.properties, version 1:
//
//	#
//	cluster.id=AAAAAAAAAAAAAAAAAAAAAQ
//	directory.id=iCZdbGqClIQhxEpFfsjWTg
//	node.id=1
//	version=1
func ReadMeta(fsys vfs.FS, dir string) (Meta, error) {
	data, err := read(fsys, dir, MetaName, maxSmall)
	if err != nil {
		return Meta{}, err
	}
	m, err := parseMeta(data)
	if err != nil {
		return Meta{}, fmt.Errorf("read %s: %w", path.Join(dir, MetaName), err)
	}
	return m, nil
}

func parseMeta(data []byte) (Meta, error) {
	p, err := config.ParseProperties(bytes.NewReader(data))
	if err != nil {
		return Meta{}, malformed("%v", err)
	}
	if p["version"] != "1" {
		return Meta{}, malformed("version %q, want 1", p["version"])
	}
	m := Meta{ClusterID: p["cluster.id"]}
	if m.ClusterID == "" {
		return Meta{}, malformed("no cluster.id")
	}
	node, ok := parseNumber([]byte(p["node.id"]), math.MaxInt32)
	if !ok {
		return Meta{}, malformed("node.id %q", p["node.id"])
	}
	m.NodeID = protocol.BrokerID(node)
	if text, ok := p["directory.id"]; ok {
		if m.DirectoryID, err = parseID(text); err != nil {
			return Meta{}, err
		}
	}
	return m, nil
}

// WriteMeta replaces a log directory's meta.properties. The cluster id is of letters, digits, '-' and '_', as Kafka's are.
func WriteMeta(fsys vfs.FS, dir string, m Meta) error {
	b := fmt.Appendf(nil, "#\ncluster.id=%s\n", m.ClusterID)
	if !m.DirectoryID.IsZero() {
		b = fmt.Appendf(b, "directory.id=%s\n", m.DirectoryID)
	}
	b = fmt.Appendf(b, "node.id=%d\nversion=1\n", m.NodeID)
	return replace(fsys, dir, MetaName, b)
}
