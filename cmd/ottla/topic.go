package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"ottla/protocol"
)

func newTopic() *cobra.Command {
	var to connection
	c := &cobra.Command{Use: "topic", Short: "Create, list, describe, alter and delete topics", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	to.flag(c)
	c.AddCommand(newTopicCreate(&to), newTopicList(&to), newTopicDescribe(&to), newTopicAlter(&to), newTopicDelete(&to))
	return c
}

// configPairs reads KEY=VALUE arguments.
func configPairs(args []string) (map[string]*string, error) {
	m := make(map[string]*string, len(args))
	for _, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q: want KEY=VALUE", a)
		}
		m[k] = &v
	}
	return m, nil
}

func newTopicCreate(to *connection) *cobra.Command {
	var partitions int32
	var factor int16
	var configs []string
	var out output
	c := &cobra.Command{
		Use: "create NAME...", Short: "Create topics", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			pairs, err := configPairs(configs)
			if err != nil {
				return err
			}
			rs, err := adm.CreateTopics(c.Context(), partitions, factor, pairs, names...)
			if err != nil {
				return err
			}
			t := table{columns: []string{"name", "id", "partitions", "replication factor"}}
			var failed []error
			for _, r := range rs.Sorted() {
				if r.Err != nil {
					failed = append(failed, refused(r.Topic, r.Err, r.ErrMessage))
					continue
				}
				t.rows = append(t.rows, []any{r.Topic, protocol.TopicID(r.ID).String(), r.NumPartitions, r.ReplicationFactor})
			}
			return errors.Join(append(failed, out.print(c, t))...)
		},
	}
	c.Flags().Int32VarP(&partitions, "partitions", "p", -1, "how many; -1 is the cluster's default")
	c.Flags().Int16VarP(&factor, "replication-factor", "r", -1, "copies of each partition; -1 is the cluster's choice")
	c.Flags().StringArrayVarP(&configs, "config", "c", nil, "KEY=VALUE, repeatable")
	out.flag(c)
	return c
}

// refused is the error of one topic in words, the server's where it sent some; nil without an error.
func refused(topic string, err error, words string) error {
	if err == nil {
		return nil
	}
	if words == "" {
		return fmt.Errorf("%s: %w", topic, err)
	}
	return fmt.Errorf("%s: %w (%s)", topic, err, words)
}

// allRefused joins what went wrong with each answer of a call.
func allRefused[R any](answers []R, refused func(R) error) error {
	var failed []error
	for _, r := range answers {
		failed = append(failed, refused(r))
	}
	return errors.Join(failed...)
}

func newTopicList(to *connection) *cobra.Command {
	var internal bool
	var out output
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List topics", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			list := adm.ListTopics
			if internal {
				list = adm.ListTopicsWithInternal
			}
			topics, err := list(c.Context())
			if err != nil {
				return err
			}
			t := table{columns: []string{"name", "partitions", "replication factor"}}
			for _, d := range topics.Sorted() {
				t.rows = append(t.rows, []any{d.Topic, len(d.Partitions), d.Partitions.NumReplicas()})
			}
			return out.print(c, t)
		},
	}
	c.Flags().BoolVar(&internal, "internal", false, "internal topics too")
	out.flag(c)
	return c
}

func newTopicDescribe(to *connection) *cobra.Command {
	var out output
	var configs bool
	c := &cobra.Command{
		Use: "describe NAME...", Short: "Describe topics: partitions with leader, replicas and offsets, or configuration", Args: cobra.MinimumNArgs(1), ValidArgsFunction: to.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			describe := describePartitions
			if configs {
				describe = describeConfigs
			}
			t, err := describe(c.Context(), adm, names)
			if err != nil {
				return err
			}
			return out.print(c, t)
		},
	}
	c.Flags().BoolVar(&configs, "configs", false, "the configuration in force instead of the partitions")
	out.flag(c)
	return c
}

func describePartitions(ctx context.Context, adm *kadm.Client, names []string) (table, error) {
	t := table{columns: []string{"topic", "partition", "leader", "epoch", "replicas", "isr", "start", "end"}}
	topics, err := adm.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return t, err
	}
	if err := topics.Error(); err != nil {
		return t, err
	}
	starts, err := adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return t, err
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return t, err
	}
	for _, d := range topics.Sorted() {
		for _, p := range d.Partitions.Sorted() {
			s, _ := starts.Lookup(d.Topic, p.Partition)
			e, _ := ends.Lookup(d.Topic, p.Partition)
			t.rows = append(t.rows, []any{d.Topic, p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, s.Offset, e.Offset})
		}
	}
	return t, nil
}

func describeConfigs(ctx context.Context, adm *kadm.Client, names []string) (table, error) {
	t := table{columns: []string{"topic", "config", "value", "source"}}
	rs, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return t, err
	}
	for _, r := range rs {
		if r.Err != nil {
			return t, refused(r.Name, r.Err, r.ErrMessage)
		}
		slices.SortFunc(r.Configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
		for _, v := range r.Configs {
			t.rows = append(t.rows, []any{r.Name, v.Key, v.MaybeValue(), v.Source.String()})
		}
	}
	return t, nil
}

func newTopicAlter(to *connection) *cobra.Command {
	var partitions int
	var set, unset []string
	c := &cobra.Command{
		Use: "alter NAME...", Short: "Add partitions, set and unset configuration", Args: cobra.MinimumNArgs(1), ValidArgsFunction: to.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			pairs, err := configPairs(set)
			if err != nil {
				return err
			}
			var changes []kadm.AlterConfig
			for k, v := range pairs {
				changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: v})
			}
			for _, k := range unset {
				changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
			}
			if len(changes) == 0 && partitions == 0 {
				return errors.New("nothing to do: give --partitions, --set or --unset")
			}
			if len(changes) > 0 {
				if err := alterConfigs(c.Context(), adm, changes, names); err != nil {
					return err
				}
			}
			if partitions > 0 {
				return growTopics(c.Context(), adm, partitions, names)
			}
			return nil
		},
	}
	c.Flags().IntVarP(&partitions, "partitions", "p", 0, "the new number of partitions")
	c.Flags().StringArrayVar(&set, "set", nil, "KEY=VALUE, repeatable")
	c.Flags().StringArrayVar(&unset, "unset", nil, "KEY, back to its default; repeatable")
	return c
}

func alterConfigs(ctx context.Context, adm *kadm.Client, changes []kadm.AlterConfig, names []string) error {
	rs, err := adm.AlterTopicConfigs(ctx, changes, names...)
	if err != nil {
		return err
	}
	return allRefused(rs, func(r kadm.AlterConfigsResponse) error { return refused(r.Name, r.Err, r.ErrMessage) })
}

func growTopics(ctx context.Context, adm *kadm.Client, partitions int, names []string) error {
	rs, err := adm.UpdatePartitions(ctx, partitions, names...)
	if err != nil {
		return err
	}
	return allRefused(rs.Sorted(), func(r kadm.CreatePartitionsResponse) error { return refused(r.Topic, r.Err, r.ErrMessage) })
}

func newTopicDelete(to *connection) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME...", Aliases: []string{"rm"}, Short: "Delete topics and all their records", Args: cobra.MinimumNArgs(1), ValidArgsFunction: to.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			rs, err := adm.DeleteTopics(c.Context(), names...)
			if err != nil {
				return err
			}
			return allRefused(rs.Sorted(), func(r kadm.DeleteTopicResponse) error { return refused(r.Topic, r.Err, r.ErrMessage) })
		},
	}
}
