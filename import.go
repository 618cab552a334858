package ottla

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"ottla/controller"
	"ottla/controller/image"
	"ottla/controller/kraft"
	metadata "ottla/controller/record"
	"ottla/log"
	"ottla/log/checkpoint"
	"ottla/log/vfs"
	"ottla/protocol"
)

// ImportOptions says what Import takes and where it puts it.
type ImportOptions struct {
	// From are the log directories of one Apache Kafka node that has stopped cleanly; one of them holds the metadata log. Nothing in them is changed.
	From []string
	// Data is the folder of the new node: empty, or not there yet.
	Data string
	// Link shares the files of closed segments with Kafka's folder by hard links, instead of copying them: both lie on one file system then.
	Link bool
	// Unclean takes folders that Kafka did not close: every log is recovered at its first use.
	Unclean bool
	Logger  *slog.Logger // nil: slog.Default()
}

// Imported tells what Import has done.
type Imported struct {
	ClusterID          string
	NodeID             protocol.BrokerID
	Topics, Partitions int
	Bytes              int64 // of the files copied or linked
	// Ignored are configs that this broker does not know, or whose value it does not take, with their resource, as text.
	Ignored []string
	// NotImported counts what has no place here yet (quotas, ACLs, credentials), by name.
	NotImported map[string]int
}

// Import makes a node's folder out of Apache Kafka's: cluster id, node id, topics with their ids and configs, records, offsets, leader epochs, producer state. Each partition is left with
// this one replica. Internal topics are data like any other: committed offsets and what transactions have written are in the formats that coordinators here read too.
//
// Records are checked where recovery would check them, not all: a clean stop says that they are whole. Import is done when it returns nil; what an interrupted one leaves, `serve`
// refuses. Errors name what is missing or in the way; Kafka's folders are never changed.
func Import(ctx context.Context, o ImportOptions) (*Imported, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Link && o.Unclean {
		return nil, errors.New("files that are to be recovered cannot be shared: copy them")
	}
	i := importer{ImportOptions: o, fs: vfs.OS{}, found: map[protocol.TopicPartition]string{}}
	for _, step := range []func(context.Context) error{i.look, i.locate, i.prepare, i.copyAll, i.checkpoints, i.seedQuorum} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
	}
	return &i.done, nil
}

// importer is an import under way.
type importer struct {
	ImportOptions
	fs    vfs.OS
	meta  checkpoint.Meta
	state *kraft.State
	found map[protocol.TopicPartition]string // folders, by partition
	done  Imported
}

// look reads what Kafka's folders say of themselves, and the metadata.
func (i *importer) look(context.Context) error {
	if len(i.From) == 0 {
		return errors.New("no folder of Apache Kafka is given")
	}
	for n, dir := range i.From {
		meta, err := checkpoint.ReadMeta(i.fs, dir)
		if err != nil {
			return fmt.Errorf("%s is no log directory of Apache Kafka in KRaft mode: %w", dir, err)
		}
		if n > 0 && (meta.ClusterID != i.meta.ClusterID || meta.NodeID != i.meta.NodeID) {
			return fmt.Errorf("%s is of cluster %s, node %d; %s is of cluster %s, node %d", dir, meta.ClusterID, meta.NodeID, i.From[0], i.meta.ClusterID, i.meta.NodeID)
		}
		i.meta = meta
		if _, err := checkpoint.ReadCleanShutdown(i.fs, dir); errors.Is(err, fs.ErrNotExist) && !i.Unclean {
			return fmt.Errorf("%s was not closed: Apache Kafka runs, or it has crashed; stop it first, or say that its logs are to be recovered", dir)
		} else if err != nil && !errors.Is(err, checkpoint.ErrMalformed) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		state, err := kraft.Read(i.fs, path.Join(dir, kraft.Folder))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case i.state != nil:
			return fmt.Errorf("%s holds a second metadata log", dir)
		default:
			i.state = state
		}
	}
	if i.state == nil {
		return fmt.Errorf("none of the folders holds %s: name the one of metadata.log.dir too", kraft.Folder)
	}
	return nil
}

// locate finds the folder of every partition.
func (i *importer) locate(context.Context) error {
	for _, t := range i.state.Sorted() {
		for n := range t.Partitions {
			tp := protocol.TopicPartition{Topic: t.Name, Partition: int32(n)}
			for _, dir := range i.From {
				folder := path.Join(dir, tp.String())
				if _, err := i.fs.Stat(folder); errors.Is(err, fs.ErrNotExist) {
					continue
				} else if err != nil {
					return err
				}
				if other := i.found[tp]; other != "" {
					return fmt.Errorf("partition %s is in %s and in %s", tp, other, folder)
				}
				id, err := checkpoint.ReadPartition(i.fs, folder)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				if err == nil && id != t.ID {
					return fmt.Errorf("%s is of topic id %s, not %s", folder, id, t.ID)
				}
				i.found[tp] = folder
			}
			if i.found[tp] == "" {
				return fmt.Errorf("partition %s is in none of the folders: this node has no replica of it", tp)
			}
			i.done.Partitions++
		}
		i.done.Topics++
	}
	return nil
}

// prepare makes the new folder.
func (i *importer) prepare(context.Context) error {
	if err := os.MkdirAll(i.Data, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(i.Data)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty", i.Data)
	}
	return nil
}

func (i *importer) copyAll(ctx context.Context) error {
	for tp, folder := range i.found {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := copyFolder(folder, filepath.Join(i.Data, tp.String()), i.Link)
		if err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
		i.done.Bytes += n
	}
	return i.fs.SyncDir(i.Data)
}

// checkpoints writes the tables of the new folder, for the partitions that are in it, and binds it to cluster and node.
func (i *importer) checkpoints(context.Context) error {
	for _, name := range []string{checkpoint.RecoveryPoints, checkpoint.LogStarts, checkpoint.Cleaned, checkpoint.HighWatermarks} {
		all := map[protocol.TopicPartition]protocol.Offset{}
		for _, dir := range i.From {
			table, err := checkpoint.ReadOffsets(i.fs, dir, name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for tp, o := range table {
				if path.Dir(i.found[tp]) == path.Clean(dir) {
					all[tp] = o
				}
			}
		}
		if err := checkpoint.WriteOffsets(i.fs, i.Data, name, all); err != nil {
			return err
		}
	}
	i.done.ClusterID, i.done.NodeID = i.meta.ClusterID, i.meta.NodeID
	if err := checkpoint.WriteMeta(i.fs, i.Data, checkpoint.Meta{ClusterID: i.meta.ClusterID, NodeID: i.meta.NodeID, DirectoryID: protocol.NewID()}); err != nil {
		return err
	}
	if i.Unclean {
		return nil
	}
	return checkpoint.WriteCleanShutdown(i.fs, i.Data, -1)
}

// seedQuorum founds the cluster with what was imported: the same quorum that `serve` goes on with.
func (i *importer) seedQuorum(ctx context.Context) (err error) {
	store, err := log.OpenStore(log.StoreOptions{FS: i.fs, Dirs: []string{i.Data}, Logger: i.Logger, CleanerOff: true})
	if err != nil {
		return err
	}
	parts := failure{done: make(chan struct{})}
	running := parts.start("log store", store.Run)
	defer func() {
		err = errors.Join(err, running.stop(), store.Close())
	}()
	quorumLog, err := store.Open(protocol.TopicPartition{Topic: protocol.MetadataTopic}, protocol.MetadataTopicID, controller.LogConfig(), metadataObserver{failed: &parts})
	if err != nil {
		return err
	}
	records, err := i.records(store.Directories()[0])
	if err != nil {
		return err
	}
	return i.seed(ctx, quorumLog, records, &parts)
}

// seed runs the quorum until it has the records.
func (i *importer) seed(ctx context.Context, quorumLog *log.Log, records []*metadata.Record, parts *failure) error {
	c, err := controller.Open(controller.Options{Log: quorumLog, FS: i.fs, Dir: path.Join(i.Data, quorumFolder), NodeID: i.meta.NodeID, ClusterID: i.meta.ClusterID,
		Defaults: foundingDefaults, Founding: records, Logger: i.Logger})
	if err != nil {
		return err
	}
	seen := make(chan struct{}, 1)
	c.Subscribe(func(img *image.Image, _ *image.Delta) {
		if img.TopicCount() == i.done.Topics && img.ClusterID() != "" {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
	})
	quorum := parts.start("controller", c.Run)
	select {
	case <-seen:
	case <-parts.done:
		err = parts.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, quorum.stop())
}

// records are the topics, configs and producer ids as records of ours. Each partition begins a new leader epoch, in which this node leads alone.
func (i *importer) records(dir protocol.DirectoryID) ([]*metadata.Record, error) {
	node := []int32{int32(i.meta.NodeID)}
	var out []*metadata.Record
	size := 0
	add := func(r *metadata.Record) {
		out = append(out, r)
		size += len(metadata.Encode([]*metadata.Record{r}))
	}
	for _, t := range i.state.Sorted() {
		add(metadata.Of(&metadata.Topic{Name: t.Name, Id: t.ID[:]}))
		for n, p := range t.Partitions {
			add(metadata.Of(&metadata.Partition{TopicId: t.ID[:], Partition: int32(n), Replicas: node, Directories: dir[:], Isr: node, Leader: node[0], LeaderEpoch: int32(p.LeaderEpoch) + 1}))
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(i.state.Configs), compareResources) {
		for _, name := range slices.Sorted(maps.Keys(i.state.Configs[r])) {
			value := i.state.Configs[r][name]
			if !taken(r, name, value) {
				i.done.Ignored = append(i.done.Ignored, fmt.Sprintf("resource type %d %q: %s=%s", r.Type, r.Name, name, value))
				continue
			}
			add(metadata.Of(&metadata.Config{ResourceType: int32(r.Type), ResourceName: r.Name, Name: name, Value: &value}))
		}
	}
	if i.state.NextProducerID > 0 {
		add(metadata.Of(&metadata.ProducerIDs{Next: int64(i.state.NextProducerID), BrokerId: node[0], BrokerEpoch: -1}))
	}
	i.done.NotImported = i.state.Skipped
	if reserve := 1000; len(out) > metadata.MaxCount-reserve || size > metadata.MaxSize-reserve*1000 {
		return nil, fmt.Errorf("%d topics with %d partitions are more than one step can found", i.done.Topics, i.done.Partitions)
	}
	return out, nil
}
