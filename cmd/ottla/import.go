package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"ottla"
)

func newImport() *cobra.Command {
	var o ottla.ImportOptions
	c := &cobra.Command{
		Use: "import KAFKA_LOG_DIR...", Short: "Make a data folder out of Apache Kafka's", Args: cobra.MinimumNArgs(1),
		Long: `Take the folders of an Apache Kafka node (log.dirs, and metadata.log.dir if that is another) that was stopped cleanly,
and make a data folder for "ottla serve" with the same topics, ids, configs, records, offsets and committed offsets.
Kafka's folders are not changed.

ACLs, quotas, credentials and the replicas of other nodes are not taken over; what was left out is listed.`,
		Example: "  ottla import /var/lib/kafka/data --data /var/lib/ottla\n  ottla serve --data /var/lib/ottla",
		RunE: func(c *cobra.Command, args []string) error {
			o.From, o.Logger = args, slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			done, err := ottla.Import(c.Context(), o)
			if err != nil {
				return err
			}
			for _, ignored := range done.Ignored {
				fmt.Fprintln(c.ErrOrStderr(), "not known here, left out:", ignored)
			}
			for _, name := range slices.Sorted(maps.Keys(done.NotImported)) {
				fmt.Fprintf(c.ErrOrStderr(), "left out: %d records of %s\n", done.NotImported[name], name)
			}
			fmt.Fprintf(c.OutOrStdout(), "imported %d topics with %d partitions, %d bytes, of cluster %s, node %d\nserve them with: ottla serve --data %s\n",
				done.Topics, done.Partitions, done.Bytes, done.ClusterID, done.NodeID, o.Data)
			return nil
		},
	}
	c.Flags().StringVar(&o.Data, "data", "ottla-data", "the folder to make; empty, or not there yet")
	c.Flags().BoolVar(&o.Link, "link", false, "share the files of closed segments by hard links instead of copying them")
	c.Flags().BoolVar(&o.Unclean, "force", false, "take folders that were not closed: every log is recovered at its first use")
	return c
}
