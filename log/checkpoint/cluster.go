package checkpoint

import (
	"fmt"
	"path"
	"strings"

	"ottla/log/vfs"
)

// Files of the first log directory that say which cluster a node is of, besides MetaName.
const (
	SecretName  = "cluster.secret" // what the nodes of the cluster prove to one another; one line
	JoiningName = "joining"        // the node has been given its id by a cluster, and has to join it; the addresses that it was told, one a line
)

// ReadSecret is the text of the secret, without the line's end. fs.ErrNotExist.
func ReadSecret(fsys vfs.FS, dir string) (string, error) {
	b, err := read(fsys, dir, SecretName, maxSmall)
	return strings.TrimSpace(string(b)), err
}

// WriteSecret replaces the secret.
func WriteSecret(fsys vfs.FS, dir, text string) error {
	return replace(fsys, dir, SecretName, []byte(text+"\n"))
}

// ReadJoining is the addresses of the cluster that this node has to join. fs.ErrNotExist: it joins none.
func ReadJoining(fsys vfs.FS, dir string) ([]string, error) {
	b, err := read(fsys, dir, JoiningName, maxSmall)
	return strings.Fields(string(b)), err
}

// WriteJoining has to be durable before the node is bound to a cluster that it has not founded (WriteMeta): else it would found it a second time.
func WriteJoining(fsys vfs.FS, dir string, addresses []string) error {
	return replace(fsys, dir, JoiningName, []byte(strings.Join(addresses, "\n")+"\n"))
}

// RemoveJoining says that the node has begun a log of its own, which the cluster will fill.
func RemoveJoining(fsys vfs.FS, dir string) error {
	if err := fsys.Remove(path.Join(dir, JoiningName)); err != nil {
		return fmt.Errorf("remove %s: %w", path.Join(dir, JoiningName), err)
	}
	return fsys.SyncDir(dir)
}
