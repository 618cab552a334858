package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newConfig() *cobra.Command {
	var to connection
	c := &cobra.Command{
		Use: "config", Short: "Show, set and unset the configuration of topics, brokers and the cluster", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Long: "Show, set and unset configuration. A TARGET is topic/NAME, broker/ID, or cluster: the defaults of all brokers.",
	}
	to.flag(c)
	c.AddCommand(newConfigList(&to), newConfigGet(&to), newConfigSet(&to), newConfigUnset(&to))
	return c
}

// target is what configs belong to: a topic, one broker, or all brokers (nil broker).
type target struct {
	topic  string
	broker *int32
}

func parseTarget(s string) (target, error) {
	kind, name, _ := strings.Cut(s, "/")
	switch {
	case s == "cluster":
		return target{}, nil
	case kind == "topic" && name != "":
		return target{topic: name}, nil
	case kind == "broker":
		if id, err := strconv.ParseInt(name, 10, 32); err == nil {
			n := int32(id)
			return target{broker: &n}, nil
		}
	}
	return target{}, fmt.Errorf("%q is no target: want topic/NAME, broker/ID or cluster", s)
}

func (t target) String() string {
	switch {
	case t.topic != "":
		return "topic/" + t.topic
	case t.broker != nil:
		return fmt.Sprintf("broker/%d", *t.broker)
	}
	return "cluster"
}

func (t target) describe(ctx context.Context, adm *kadm.Client) ([]kadm.Config, error) {
	var rs kadm.ResourceConfigs
	var err error
	switch {
	case t.topic != "":
		rs, err = adm.DescribeTopicConfigs(ctx, t.topic)
	case t.broker != nil:
		rs, err = adm.DescribeBrokerConfigs(ctx, *t.broker)
	default:
		rs, err = adm.DescribeBrokerConfigs(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(rs) != 1 {
		return nil, fmt.Errorf("%s: asked for one resource, got %d", t, len(rs))
	}
	r := rs[0]
	if r.Err != nil {
		return nil, refused(t.String(), r.Err, r.ErrMessage)
	}
	slices.SortFunc(r.Configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
	return r.Configs, nil
}

func (t target) alter(ctx context.Context, adm *kadm.Client, changes []kadm.AlterConfig) error {
	var rs kadm.AlterConfigsResponses
	var err error
	switch {
	case t.topic != "":
		rs, err = adm.AlterTopicConfigs(ctx, changes, t.topic)
	case t.broker != nil:
		rs, err = adm.AlterBrokerConfigs(ctx, changes, *t.broker)
	default:
		rs, err = adm.AlterBrokerConfigs(ctx, changes)
	}
	if err != nil {
		return err
	}
	return allRefused(rs, func(r kadm.AlterConfigsResponse) error { return refused(t.String(), r.Err, r.ErrMessage) })
}

// withTarget is the frame of the four commands.
func withTarget(c *cobra.Command, to *connection, name string, do func(ctx context.Context, adm *kadm.Client, t target) error) error {
	t, err := parseTarget(name)
	if err != nil {
		return err
	}
	adm, done, err := to.admin(c.Context())
	if err != nil {
		return err
	}
	defer done()
	return do(c.Context(), adm, t)
}

func newConfigList(to *connection) *cobra.Command {
	var out output
	var all bool
	c := &cobra.Command{
		Use: "list TARGET", Aliases: []string{"ls"}, Short: "List what is set", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withTarget(c, to, args[0], func(ctx context.Context, adm *kadm.Client, t target) error {
				configs, err := t.describe(ctx, adm)
				if err != nil {
					return err
				}
				rows := table{columns: []string{"config", "value", "source"}}
				for _, v := range configs {
					if all || v.Source.String() != "DEFAULT_CONFIG" {
						rows.rows = append(rows.rows, []any{v.Key, shown(v), v.Source.String()})
					}
				}
				return out.print(c, rows)
			})
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "what is at its default too")
	out.flag(c)
	return c
}

// shown is a value as people see it: a sensitive one is never sent.
func shown(v kadm.Config) string {
	if v.Sensitive {
		return "(hidden)"
	}
	return v.MaybeValue()
}

func newConfigGet(to *connection) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "get TARGET KEY", Short: "Print the value in force", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return withTarget(c, to, args[0], func(ctx context.Context, adm *kadm.Client, t target) error {
				configs, err := t.describe(ctx, adm)
				if err != nil {
					return err
				}
				for _, v := range configs {
					switch {
					case v.Key != args[1]:
					case out.json():
						return out.print(c, table{columns: []string{"config", "value", "source"}, rows: [][]any{{v.Key, shown(v), v.Source.String()}}})
					default:
						fmt.Fprintln(c.OutOrStdout(), shown(v))
						return nil
					}
				}
				if t.String() == "cluster" {
					return fmt.Errorf("%s is not set for the cluster", args[1])
				}
				return fmt.Errorf("%s has no config %q", t, args[1])
			})
		},
	}
	out.flag(c)
	return c
}

func newConfigSet(to *connection) *cobra.Command {
	return &cobra.Command{
		Use: "set TARGET KEY=VALUE...", Short: "Set configs", Args: cobra.MinimumNArgs(2),
		Example: "  ottla config set topic/orders retention.ms=3600000\n  ottla config set cluster log.retention.hours=24",
		RunE: func(c *cobra.Command, args []string) error {
			pairs, err := configPairs(args[1:])
			if err != nil {
				return err
			}
			if len(pairs) != len(args)-1 {
				return errors.New("a key is given twice")
			}
			var changes []kadm.AlterConfig
			for k, v := range pairs {
				changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: v})
			}
			return withTarget(c, to, args[0], func(ctx context.Context, adm *kadm.Client, t target) error { return t.alter(ctx, adm, changes) })
		},
	}
}

func newConfigUnset(to *connection) *cobra.Command {
	return &cobra.Command{
		Use: "unset TARGET KEY...", Short: "Take configs back to their defaults", Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var changes []kadm.AlterConfig
			for _, k := range args[1:] {
				changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
			}
			return withTarget(c, to, args[0], func(ctx context.Context, adm *kadm.Client, t target) error { return t.alter(ctx, adm, changes) })
		},
	}
}
