package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// output is the --output flag of a command that prints a table.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "table", "table or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.format != "table" && o.format != "json" {
			return fmt.Errorf("--output %s: want table or json", o.format)
		}
		return nil
	}
}

func (o *output) json() bool { return o.format == "json" }

// table is what a command found: printed as aligned columns, or as a JSON array of objects with the columns' names as keys (spaces become underscores).
type table struct {
	columns []string
	rows    [][]any
}

func (o *output) print(c *cobra.Command, t table) error {
	if o.json() {
		list := make([]map[string]any, 0, len(t.rows))
		for _, row := range t.rows {
			m := make(map[string]any, len(row))
			for i, v := range row {
				m[strings.ReplaceAll(t.columns[i], " ", "_")] = v
			}
			list = append(list, m)
		}
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(t.columns, "\t")))
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = strings.Trim(fmt.Sprint(v), "[]")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}
