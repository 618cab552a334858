package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"ottla/protocol"
)

func newGroup() *cobra.Command {
	var to connection
	c := &cobra.Command{Use: "group", Short: "List, describe, explain and delete consumer groups, and move their offsets", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	to.flag(c)
	c.AddCommand(newGroupList(&to), newGroupDescribe(&to), newGroupExplain(&to), newGroupDelete(&to), newGroupResetOffsets(&to))
	return c
}

func newGroupList(to *connection) *cobra.Command {
	var states []string
	var out output
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List groups", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			groups, err := adm.ListGroups(c.Context(), states...)
			if err != nil {
				return err
			}
			t := table{columns: []string{"name", "state", "protocol type", "coordinator"}}
			for _, g := range groups.Sorted() {
				t.rows = append(t.rows, []any{g.Group, g.State, g.ProtocolType, g.Coordinator})
			}
			return out.print(c, t)
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states: Stable, Empty, PreparingRebalance, CompletingRebalance, Dead")
	out.flag(c)
	return c
}

func newGroupDescribe(to *connection) *cobra.Command {
	var out output
	var members bool
	c := &cobra.Command{
		Use: "describe NAME...", Short: "Describe groups: how far each partition is read, or their members", Args: cobra.MinimumNArgs(1), ValidArgsFunction: to.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			lags, err := groupLags(c.Context(), adm, names)
			if err != nil {
				return err
			}
			if members {
				return out.print(c, membersTable(lags))
			}
			first, err := to.firstUnread(c.Context(), lags)
			if err != nil {
				return err
			}
			return out.print(c, lagTable(lags, first))
		},
	}
	c.Flags().BoolVar(&members, "members", false, "the members instead of the partitions")
	out.flag(c)
	return c
}

// groupLags describes groups that exist, in the order of their names.
func groupLags(ctx context.Context, adm *kadm.Client, names []string) ([]kadm.DescribedGroupLag, error) {
	lags, err := adm.Lag(ctx, names...)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, l := range lags.Sorted() {
		err := l.Error()
		if err == nil && l.State == "Dead" {
			err = errors.New("there is no such group")
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", l.Group, err))
		}
	}
	return lags.Sorted(), errors.Join(failed...)
}

func membersTable(lags []kadm.DescribedGroupLag) table {
	t := table{columns: []string{"group", "member", "instance", "client", "host", "partitions"}}
	for _, l := range lags {
		for _, m := range l.Members {
			t.rows = append(t.rows, []any{l.Group, m.MemberID, optional(m.InstanceID), m.ClientID, m.ClientHost, assignedTo(m)})
		}
	}
	return t
}

// assignedTo counts the partitions of a consumer's assignment; groups of other protocols keep theirs to themselves.
func assignedTo(m kadm.DescribedGroupMember) any {
	assigned, ok := m.Assigned.AsConsumer()
	if !ok {
		return nil
	}
	n := 0
	for _, t := range assigned.Topics {
		n += len(t.Partitions)
	}
	return n
}

func optional(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func newGroupDelete(to *connection) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME...", Aliases: []string{"rm"}, Short: "Delete groups without members, and their offsets", Args: cobra.MinimumNArgs(1), ValidArgsFunction: to.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			adm, done, err := to.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			rs, err := adm.DeleteGroups(c.Context(), names...)
			if err != nil {
				return err
			}
			return allRefused(rs.Sorted(), func(r kadm.DeleteGroupResponse) error { return refused(r.Group, r.Err, "") })
		},
	}
}

// completeGroups offers the names of the cluster's groups to the shell.
func (f *connection) completeGroups(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	adm, done, err := f.admin(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer done()
	groups, err := adm.ListGroups(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, name := range groups.Groups() {
		if strings.HasPrefix(name, typed) && protocol.Printable(name) == name {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
